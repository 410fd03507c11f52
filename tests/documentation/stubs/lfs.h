/* Declarations of littlefs that docs/stores/littlefs.md calls. */
#pragma once
#include <stddef.h>
#include <stdint.h>
typedef uint32_t lfs_size_t;
typedef int32_t lfs_ssize_t, lfs_soff_t;
typedef struct {
    int unused;
} lfs_t, lfs_file_t;
enum { LFS_O_RDONLY = 1, LFS_O_WRONLY = 2, LFS_O_CREAT = 0x100, LFS_O_TRUNC = 0x400 };
enum { LFS_SEEK_SET = 0 };
int lfs_file_open(lfs_t *lfs, lfs_file_t *file, const char *path, int flags);
int lfs_file_close(lfs_t *lfs, lfs_file_t *file);
lfs_ssize_t lfs_file_read(lfs_t *lfs, lfs_file_t *file, void *buffer, lfs_size_t size);
lfs_ssize_t lfs_file_write(lfs_t *lfs, lfs_file_t *file, const void *buffer, lfs_size_t size);
lfs_soff_t lfs_file_seek(lfs_t *lfs, lfs_file_t *file, lfs_soff_t off, int whence);
int lfs_rename(lfs_t *lfs, const char *oldpath, const char *newpath);
