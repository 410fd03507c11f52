// Runs a UF2 file in rp2040js, as a Pico would: its UART0 is standard input and output.
//
//   node run.mjs PLACE PROGRAM.uf2 CYCLES.txt [ENTER]
//
// PLACE is a folder in which npm installed rp2040js. CYCLES.txt gets the cycles of each call of the
// function at the address ENTER, a line each, as they end.
import fs from 'node:fs';
import { createRequire } from 'node:module';

const [place, program, counts, enter] = process.argv.slice(2);
const { RP2040, ConsoleLogger, LogLevel } = createRequire(`${place}/package.json`)('rp2040js');

const FLASH = 0x10000000;
const RAM = 0x20000000;
// RP2040 datasheet, 2.8.1.3: where the boot loader puts the second stage, and its size.
const STAGE = 0x20041f00;
const STAGE_BYTES = 256;
const CHUNK = 20000;
const FEED_EVERY = 16;

const chip = new RP2040();
chip.logger = new ConsoleLogger(LogLevel.Error, true);
const blocks = fs.readFileSync(program);
for (let at = 0; at < blocks.length; at += 512) {
    const address = blocks.readUInt32LE(at + 12);
    const size = blocks.readUInt32LE(at + 16);
    chip.flash.set(blocks.subarray(at + 32, at + 32 + size), address - FLASH);
}
chip.sram.set(chip.flash.subarray(0, STAGE_BYTES), STAGE - RAM);
chip.core.PC = STAGE;

const uart = chip.uart[0];
let sent = [];
uart.onByte = (byte) => sent.push(byte);

let waiting = Buffer.alloc(0);
let fed = 0;
process.stdin.on('data', (block) => {
    waiting = Buffer.concat([waiting.subarray(fed), block]);
    fed = 0;
});
process.stdin.on('end', () => process.exit(0));

const start = enter === undefined ? -1 : Number(enter) & ~1;
let back = -1;
let since = 0;

function run() {
    const core = chip.core;
    for (let i = 0; i < CHUNK; i++) {
        if (i % FEED_EVERY === 0 && fed < waiting.length && !uart.rxFIFO.full) {
            uart.feedByte(waiting[fed++]);
        }
        if (core.PC === start && back < 0) {
            back = core.LR & ~1;
            since = core.cycles;
        } else if (core.PC === back) {
            fs.appendFileSync(counts, `${core.cycles - since}\n`);
            back = -1;
        }
        core.executeInstruction();
    }
    if (sent.length > 0) {
        process.stdout.write(Buffer.from(sent));
        sent = [];
    }
    setImmediate(run);
}
run();
