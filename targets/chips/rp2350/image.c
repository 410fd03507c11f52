/* What the RP2350's boot loader looks for (RP2350 datasheet, "Metadata block details"): this image
 * is a program for the Arm cores, in secure state. It starts from the vector table at the image's
 * start. */
#include <stdint.h>

extern const uint32_t tt_image_definition[5];
__attribute__((section(".boot"), used)) const uint32_t tt_image_definition[5] = {
    0xFFFFDED3U, /* a block begins */
    0x10210142U, /* an image type: executable, secure, Arm, RP2350 */
    0x000001FFU, /* the last item, one word before it */
    0U,          /* no further block */
    0xAB123579U, /* the block ends */
};
