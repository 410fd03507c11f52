/* Declarations of ESP-IDF that docs/stores/esp-idf.md calls. */
#pragma once
#include <stddef.h>
#include <stdint.h>
typedef int esp_err_t;
typedef struct esp_partition esp_partition_t;
typedef enum { ESP_PARTITION_TYPE_DATA = 1 } esp_partition_type_t;
typedef enum { ESP_PARTITION_SUBTYPE_ANY = 0xff } esp_partition_subtype_t;
const esp_partition_t *esp_partition_find_first(esp_partition_type_t type,
                                                esp_partition_subtype_t subtype, const char *label);
esp_err_t esp_partition_read(const esp_partition_t *from, size_t offset, void *to, size_t size);
esp_err_t esp_partition_write(const esp_partition_t *to, size_t offset, const void *from,
                              size_t size);
esp_err_t esp_partition_erase_range(const esp_partition_t *of, size_t offset, size_t size);
