/* The frame of a function in assembly at file scope, in a section of its own as -ffunction-sections
 * makes them. */
#ifndef TT_ASSEMBLY_DSP_H
#define TT_ASSEMBLY_DSP_H

#define TT_BEGIN(name)                                  \
    "    .section .text." #name ", \"ax\", %progbits\n" \
    "    .balign 4\n"                                   \
    "    .global " #name "\n"                           \
    "    .type " #name ", %function\n"                  \
    "    .thumb_func\n" #name ":\n"

#define TT_END(name) "    .size " #name ", . - " #name "\n"

#endif
