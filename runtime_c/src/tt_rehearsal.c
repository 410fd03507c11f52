/* Which sample of a rehearsal set is trained on next: docs/arithmetic.md section 9. */
#include "tt_rehearsal.h"

#include "tt_sgd.h"

enum { ROUNDS = 16 };

/* Where `place` goes in a random order of `count` places: the swap-or-not shuffle (Hoang, Morris
 * and Rogaway, CRYPTO 2012). place < count <= 65,535, so that no sum exceeds 2^17. */
static uint32_t shuffled(uint32_t place, uint32_t count, uint32_t key)
{
    for (uint32_t round = 1; round <= ROUNDS; round++) {
        const uint32_t word = tt_mix(key + round * 0x9E3779B9U);
        const uint32_t pivot = (uint32_t)((uint64_t)word * count >> 32);
        const uint32_t above = pivot + count - place;
        const uint32_t partner = above < count ? above : above - count;
        if ((tt_mix(word ^ (place > partner ? place : partner)) & 1U) != 0) {
            place = partner;
        }
    }
    return place;
}

tt_rehearsal_choice tt_rehearsal_choose(const tt_rehearsal *set, uint32_t seed, uint32_t number)
{
    const uint32_t base = tt_mix(seed ^ 0x72656873U);
    const uint32_t turn = number / set->group_count;
    const uint32_t group =
        shuffled(number % set->group_count, set->group_count, tt_mix(base + turn * 0x9E3779B9U));
    const uint32_t start = set->first[group];
    const uint32_t count = set->first[group + 1U] - start;
    const uint32_t key = (base + turn / count * 0x9E3779B9U) ^ ((group + 1U) * 0x85EBCA6BU);
    const tt_rehearsal_choice choice = {group, start + shuffled(turn % count, count, tt_mix(key))};
    return choice;
}
