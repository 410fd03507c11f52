/* What our sketches use of Arduino's core, for a compiler alone: no board, no core of Arduino. */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

inline long random(long below)
{
    return rand() % below;
}

inline unsigned long micros()
{
    return 0;
}

class Console
{
  public:
    int read()
    {
        return -1;
    }
    size_t write(const uint8_t *data, size_t size)
    {
        return fwrite(data, 1, size, stdout);
    }
    void begin(unsigned long)
    {
    }
    void print(const char *text)
    {
        printf("%s", text);
    }
    void print(long number)
    {
        printf("%ld", number);
    }
    void print(uint32_t number)
    {
        printf("%lu", (unsigned long)number);
    }
    void println(const char *text)
    {
        printf("%s\n", text);
    }
    void println(long number)
    {
        printf("%ld\n", number);
    }
    void println(double number, int digits)
    {
        printf("%.*f\n", digits, number);
    }
};

static Console Serial;

void setup();
void loop();

#endif
