/* The second boot stage of the RP2040 (datasheet, 2.8.1.3): 252 bytes and their checksum, which the
 * boot loader copies from flash into RAM and runs there. It lets the core read flash in its address
 * space, by the command that every flash chip knows (0x03, no dummy cycles), and starts the
 * program.
 *
 * The checksum is that of the datasheet, 2.8.1.3.1: polynomial 0x04C11DB7, initial value all ones,
 * nothing reflected. tests/boards/test_flash.py holds it. */

/* clang-format off */
__asm(".section .boot, \"ax\"\n"
      ".syntax unified\n"
      ".thumb\n"
      "tt_boot_stage:\n"
      /* The flash interface (4.10): off, a quarter of the core's clock, 32 bits a frame. */
      "ldr r3, =0x18000000\n"
      "movs r1, #0\n"
      "str r1, [r3, #0x08]\n"
      "movs r1, #4\n"
      "str r1, [r3, #0x14]\n"
      "ldr r1, =0x001F0300\n"
      "str r1, [r3, #0x00]\n"
      "movs r1, #0\n"
      "str r1, [r3, #0x04]\n"
      /* Command 0x03, 8 bits of it, 24 bits of address, all on one line. */
      "ldr r1, =0x03000218\n"
      "ldr r0, =0x180000F4\n"
      "str r1, [r0]\n"
      "movs r1, #1\n"
      "str r1, [r3, #0x08]\n"
      /* The program's vector table behind this stage: its stack and its first instruction. */
      "ldr r0, =0x10000100\n"
      "ldr r1, =0xE000ED08\n"
      "str r0, [r1]\n"
      "ldmia r0!, {r1, r2}\n"
      "msr msp, r1\n"
      "bx r2\n"
      ".balign 4\n"
      ".ltorg\n"
      ".org tt_boot_stage + 252, 0\n"
      ".word 0x0A4B45CE\n");
/* clang-format on */
