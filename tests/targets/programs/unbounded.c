/* An array whose length depends on data. */
#include <string.h>

#include "tt_port.h"

static volatile unsigned length = 9;

int main(void)
{
    char bytes[length];
    memset(bytes, 1, length);
    tt_port_print(bytes[length / 2U] == 1 ? "one\n" : "none\n");
    return 0;
}
