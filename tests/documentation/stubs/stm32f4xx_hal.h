/* Declarations of ST's HAL that docs/stores/stm32.md calls. */
#pragma once
#include <stdint.h>
typedef enum { HAL_OK = 0, HAL_ERROR } HAL_StatusTypeDef;
typedef struct {
    uint32_t TypeErase, Banks, Sector, NbSectors, VoltageRange;
} FLASH_EraseInitTypeDef;
enum { FLASH_TYPEPROGRAM_WORD = 2, FLASH_TYPEERASE_SECTORS = 0, FLASH_VOLTAGE_RANGE_3 = 2 };
enum { FLASH_SECTOR_6 = 6, FLASH_SECTOR_7 };
HAL_StatusTypeDef HAL_FLASH_Unlock(void);
HAL_StatusTypeDef HAL_FLASH_Lock(void);
HAL_StatusTypeDef HAL_FLASH_Program(uint32_t type, uint32_t address, uint64_t data);
HAL_StatusTypeDef HAL_FLASHEx_Erase(FLASH_EraseInitTypeDef *what, uint32_t *bad);
