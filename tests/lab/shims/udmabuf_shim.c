/* Memory for camera buffers where the kernel offers neither /dev/udmabuf nor /dev/dma_heap.
 *
 * Preloaded into a process, it answers both devices with memfds: libcamera's virtual pipeline and
 * picamera2's DmaAllocator then run as on a board. The calls for cache coherence do nothing.
 *
 * gcc -shared -fPIC -O2 -o udmabuf_shim.so udmabuf_shim.c -ldl
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

static int is_ours(const char *path) {
    return path && (!strcmp(path, "/dev/udmabuf") || !strcmp(path, "/dev/dma_heap/linux,cma"));
}

static int allocate(struct dma_heap_allocation_data *wanted) {
    int fd = memfd_create("dma_heap", MFD_CLOEXEC);
    if (fd < 0) return -1;
    if (ftruncate(fd, wanted->len)) {
        close(fd);
        return -1;
    }
    wanted->fd = fd;
    return 0;
}

#define MODE_OF(flags) ({ \
    mode_t mode = 0; \
    if (flags & (O_CREAT | O_TMPFILE)) { va_list a; va_start(a, flags); mode = va_arg(a, int); va_end(a); } \
    mode; })

#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        static int (*real)(const char *, int, ...); \
        if (!real) real = dlsym(RTLD_NEXT, #name); \
        mode_t mode = MODE_OF(flags); \
        return is_ours(path) ? memfd_create("udmabuf", MFD_CLOEXEC) : real(path, flags, mode); \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name) \
    int name(int folder, const char *path, int flags, ...) { \
        static int (*real)(int, const char *, int, ...); \
        if (!real) real = dlsym(RTLD_NEXT, #name); \
        mode_t mode = MODE_OF(flags); \
        return is_ours(path) ? memfd_create("udmabuf", MFD_CLOEXEC) : real(folder, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

int ioctl(int fd, unsigned long request, ...) {
    static int (*real)(int, unsigned long, ...);
    if (!real) real = dlsym(RTLD_NEXT, "ioctl");
    va_list a;
    va_start(a, request);
    void *arg = va_arg(a, void *);
    va_end(a);
    switch (request & 0xffffffffUL) {
    case DMA_HEAP_IOCTL_ALLOC: return allocate(arg);
    case UDMABUF_CREATE: return fcntl(((struct udmabuf_create *)arg)->memfd, F_DUPFD_CLOEXEC, 0);
    case DMA_BUF_IOCTL_SYNC:
    case DMA_BUF_SET_NAME_A:
    case DMA_BUF_SET_NAME_B: return 0;
    }
    return real(fd, request, arg);
}
