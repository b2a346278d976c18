/* A stand-in for the VC4 H.264 encoder, /dev/video11, preloaded into a process.
 *
 * It answers the ioctls that picamera2's V4L2Encoder uses (picamera2/encoders/v4l2_encoder.py), maps the
 * DMABUF that it is handed, and encodes with libx264, one thread, in the caller's QBUF. It shows that the
 * calls arrive in an order that a stateful M2M encoder accepts (Documentation/userspace-api/media/v4l/dev-encoder.rst);
 * it shows nothing about the silicon. LABENC_LOG=1 prints control changes to stderr. The word in /run/lab-encoder
 * breaks it: "absent" or "busy" when opened, "gone" (ENODEV) or "stalled" (no answer) when fed.
 *
 * gcc -shared -fPIC -O2 -o v4l2m2m_shim.so v4l2m2m_shim.c -lx264 -ldl -lpthread
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <linux/videodev2.h>
#include <x264.h>

enum { BUFFERS = 32, CAPTURE_SIZE = 512 << 10 };
#define REAL(name) ({ static __typeof__(&name) f; if (!f) f = (__typeof__(&name))dlsym(RTLD_NEXT, #name); f; })

struct unit { uint8_t *data; size_t size; struct timeval time; int key; struct unit *next; };

static struct {
    int fd, peer, width, height, stride, out_count, cap_count, streaming[2], force_key, bitrate, applied_bitrate, period, repeat;
    uint32_t pixelformat;
    int done[BUFFERS], done_n;              /* OUTPUT buffers consumed, to be dequeued */
    int ready[BUFFERS], ready_n;            /* CAPTURE buffers queued by the user */
    int memory[BUFFERS];                    /* memfd behind each CAPTURE buffer */
    struct unit *head, **tail;
    x264_t *encoder; x264_param_t param; int64_t pts;
} dev = {.fd = -1};
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void say(const char *what, int value) { if (getenv("LABENC_LOG")) fprintf(stderr, "labenc: %s %d\n", what, value); }

static int switched(const char *to) {
    char word[16] = "";
    FILE *f = fopen("/run/lab-encoder", "re");
    if (!f) return 0;
    int found = fscanf(f, "%15s", word);
    fclose(f);
    return found == 1 && !strcmp(word, to);
}

static int start_device(void) {
    int pair[2];
    if (switched("absent")) { errno = ENOENT; return -1; }
    if (switched("busy")) { errno = EBUSY; return -1; }
    if (dev.fd >= 0) { errno = EBUSY; return -1; }
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) return -1;
    memset(&dev, 0, sizeof dev); dev.fd = pair[0]; dev.peer = pair[1]; dev.tail = &dev.head; dev.bitrate = 10000000; dev.period = 60;
    for (int i = 0; i < BUFFERS; i++) dev.memory[i] = -1;
    return dev.fd;
}

static void stop_encoder(void) {
    if (dev.encoder) { x264_encoder_close(dev.encoder); dev.encoder = NULL; }
    while (dev.head) { struct unit *u = dev.head; dev.head = u->next; free(u->data); free(u); }
    dev.tail = &dev.head;
}

static int encode(int dmabuf, size_t bytes, struct timeval time) {
    if (!dev.encoder) {
        x264_param_default_preset(&dev.param, "ultrafast", "zerolatency"); x264_param_apply_profile(&dev.param, "baseline");
        dev.param.i_width = dev.width; dev.param.i_height = dev.height; dev.param.i_threads = 1; dev.param.i_log_level = X264_LOG_NONE;
        dev.param.i_csp = dev.pixelformat == V4L2_PIX_FMT_NV12 ? X264_CSP_NV12 : X264_CSP_I420;
        dev.param.b_repeat_headers = dev.repeat; dev.param.b_annexb = 1; dev.param.i_keyint_max = dev.period ? dev.period : X264_KEYINT_MAX_INFINITE;
        dev.param.rc.i_rc_method = X264_RC_ABR; dev.param.rc.i_bitrate = dev.bitrate / 1000;
        dev.param.rc.i_vbv_max_bitrate = dev.bitrate / 1000; dev.param.rc.i_vbv_buffer_size = dev.bitrate / 2000;
        if (!(dev.encoder = x264_encoder_open(&dev.param))) { errno = EINVAL; return -1; }
        dev.applied_bitrate = dev.bitrate;
    } else if (dev.bitrate != dev.applied_bitrate) {
        dev.param.rc.i_bitrate = dev.param.rc.i_vbv_max_bitrate = dev.bitrate / 1000; dev.param.rc.i_vbv_buffer_size = dev.bitrate / 2000;
        x264_encoder_reconfig(dev.encoder, &dev.param); dev.applied_bitrate = dev.bitrate;
    }
    uint8_t *map = REAL(mmap)(NULL, bytes, PROT_READ, MAP_SHARED, dmabuf, 0);
    if (map == MAP_FAILED) return -1;
    x264_picture_t in, out; x264_nal_t *nal; int count, luma = dev.stride * dev.height;
    x264_picture_init(&in); in.img.i_csp = dev.param.i_csp; in.i_pts = dev.pts++;
    in.img.plane[0] = map; in.img.i_stride[0] = dev.stride; in.img.plane[1] = map + luma;
    if (in.img.i_csp == X264_CSP_NV12) { in.img.i_plane = 2; in.img.i_stride[1] = dev.stride; }
    else { in.img.i_plane = 3; in.img.i_stride[1] = in.img.i_stride[2] = dev.stride / 2; in.img.plane[2] = map + luma + luma / 4; }
    in.i_type = dev.force_key ? X264_TYPE_IDR : X264_TYPE_AUTO; dev.force_key = 0;
    int size = x264_encoder_encode(dev.encoder, &nal, &count, &in, &out);
    munmap(map, bytes);
    if (size <= 0) { errno = EIO; return size ? -1 : 0; }
    struct unit *u = calloc(1, sizeof *u); u->data = malloc(size); memcpy(u->data, nal[0].p_payload, size); u->size = size; u->time = time; u->key = out.b_keyframe;
    *dev.tail = u; dev.tail = &u->next;
    return 0;
}

static int control(uint32_t id, int value) {
    switch (id) {
    case V4L2_CID_MPEG_VIDEO_BITRATE: dev.bitrate = value; say("bitrate", value); return 0;
    case V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME: dev.force_key = 1; say("force_key_frame", 1); return 0;
    case V4L2_CID_MPEG_VIDEO_H264_I_PERIOD: dev.period = value; return 0;
    case V4L2_CID_MPEG_VIDEO_REPEAT_SEQ_HEADER: dev.repeat = value; return 0;
    case V4L2_CID_MPEG_VIDEO_H264_PROFILE: case V4L2_CID_MPEG_VIDEO_H264_LEVEL: case V4L2_CID_MPEG_VIDEO_H264_MIN_QP: case V4L2_CID_MPEG_VIDEO_H264_MAX_QP: return 0;
    }
    errno = EINVAL; return -1;
}

static int request(unsigned long req, void *arg) {
    switch (req) {
    case VIDIOC_QUERYCAP: { struct v4l2_capability *c = arg; memset(c, 0, sizeof *c); strcpy((char *)c->driver, "labenc"); strcpy((char *)c->card, "labenc"); c->capabilities = c->device_caps = V4L2_CAP_VIDEO_M2M_MPLANE | V4L2_CAP_STREAMING; return 0; }
    case VIDIOC_S_CTRL: { struct v4l2_control *c = arg; return control(c->id, c->value); }
    case VIDIOC_S_EXT_CTRLS: { struct v4l2_ext_controls *e = arg; for (unsigned i = 0; i < e->count; i++) if (control(e->controls[i].id, e->controls[i].value)) { e->error_idx = i; return -1; } return 0; }
    case VIDIOC_S_PARM: return 0;
    case VIDIOC_S_FMT: {
        struct v4l2_format *f = arg; struct v4l2_pix_format_mplane *p = &f->fmt.pix_mp;
        if (f->type == V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE) {
            if (p->pixelformat != V4L2_PIX_FMT_NV12 && p->pixelformat != V4L2_PIX_FMT_YUV420) { errno = EINVAL; return -1; }
            dev.width = p->width; dev.height = p->height; dev.pixelformat = p->pixelformat; dev.stride = p->plane_fmt[0].bytesperline ? (int)p->plane_fmt[0].bytesperline : dev.width;
        } else if (p->pixelformat != V4L2_PIX_FMT_H264) { errno = EINVAL; return -1; }
        return 0; }
    case VIDIOC_REQBUFS: {
        struct v4l2_requestbuffers *r = arg; int out = r->type == V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE;
        if (dev.streaming[!out]) { errno = EBUSY; return -1; }
        if (r->count > BUFFERS) r->count = BUFFERS;
        if (out) { dev.out_count = r->count; dev.done_n = 0; }
        else {
            for (int i = 0; i < BUFFERS; i++) if (dev.memory[i] >= 0) { close(dev.memory[i]); dev.memory[i] = -1; }
            dev.cap_count = r->count; dev.ready_n = 0;
            for (unsigned i = 0; i < r->count; i++) { dev.memory[i] = memfd_create("labenc", MFD_CLOEXEC); if (ftruncate(dev.memory[i], CAPTURE_SIZE)) return -1; }
        }
        return 0; }
    case VIDIOC_QUERYBUF: { struct v4l2_buffer *b = arg; if (b->index >= (unsigned)dev.cap_count) { errno = EINVAL; return -1; } b->m.planes[0].length = CAPTURE_SIZE; b->m.planes[0].m.mem_offset = b->index * CAPTURE_SIZE; return 0; }
    case VIDIOC_STREAMON: case VIDIOC_STREAMOFF: {
        int capture = *(int *)arg == V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE; dev.streaming[capture] = req == VIDIOC_STREAMON;
        if (req == VIDIOC_STREAMOFF) { if (capture) dev.ready_n = 0; else { dev.done_n = 0; stop_encoder(); } }
        return 0; }
    case VIDIOC_QBUF: {
        struct v4l2_buffer *b = arg;
        if (b->type == V4L2_BUF_TYPE_VIDEO_CAPTURE_MPLANE) { if (b->index >= (unsigned)dev.cap_count) { errno = EINVAL; return -1; } dev.ready[dev.ready_n++] = b->index; return 0; }
        if (!dev.streaming[0] || b->index >= (unsigned)dev.out_count || b->memory != V4L2_MEMORY_DMABUF) { errno = EINVAL; return -1; }
        if (switched("gone")) { errno = ENODEV; return -1; }
        if (switched("stalled")) return 0;
        if (encode(b->m.planes[0].m.fd, b->m.planes[0].length, b->timestamp)) return -1;
        dev.done[dev.done_n++] = b->index; return 0; }
    case VIDIOC_DQBUF: {
        struct v4l2_buffer *b = arg;
        if (b->type == V4L2_BUF_TYPE_VIDEO_OUTPUT_MPLANE) {
            if (!dev.done_n) { errno = EAGAIN; return -1; }
            b->index = dev.done[0]; memmove(dev.done, dev.done + 1, --dev.done_n * sizeof(int)); return 0;
        }
        if (!dev.head || !dev.ready_n) { errno = EAGAIN; return -1; }
        struct unit *u = dev.head; int i = dev.ready[0];
        if (u->size > CAPTURE_SIZE) u->size = CAPTURE_SIZE;
        if (pwrite(dev.memory[i], u->data, u->size, 0) < 0) return -1;
        memmove(dev.ready, dev.ready + 1, --dev.ready_n * sizeof(int));
        b->index = i; b->timestamp = u->time; b->flags = u->key ? V4L2_BUF_FLAG_KEYFRAME : V4L2_BUF_FLAG_PFRAME; b->m.planes[0].bytesused = u->size; b->m.planes[0].length = CAPTURE_SIZE;
        if (!(dev.head = u->next)) dev.tail = &dev.head;
        free(u->data); free(u); return 0; }
    }
    errno = ENOTTY; return -1;
}

static int is_encoder(const char *path) { return path && !strcmp(path, "/dev/video11"); }
#define OPEN(name) int name(const char *path, int flags, ...) { \
    mode_t mode = 0; if (flags & (O_CREAT | O_TMPFILE)) { va_list a; va_start(a, flags); mode = va_arg(a, int); va_end(a); } \
    if (is_encoder(path)) { pthread_mutex_lock(&lock); int fd = start_device(); pthread_mutex_unlock(&lock); return fd; } \
    static int (*f)(const char *, int, ...); if (!f) f = dlsym(RTLD_NEXT, #name); return f(path, flags, mode); }
OPEN(open) OPEN(open64)

int ioctl(int fd, unsigned long req, ...) {
    va_list a; va_start(a, req); void *arg = va_arg(a, void *); va_end(a);
    if (fd < 0 || fd != dev.fd) { static int (*f)(int, unsigned long, ...); if (!f) f = dlsym(RTLD_NEXT, "ioctl"); return f(fd, req, arg); }
    pthread_mutex_lock(&lock); int r = request(req & 0xffffffffUL, arg); pthread_cond_broadcast(&changed); pthread_mutex_unlock(&lock); return r;
}

static short events(void) { return (dev.done_n ? POLLOUT : 0) | (dev.head && dev.ready_n ? POLLIN : 0); }
int poll(struct pollfd *fds, nfds_t n, int timeout) {
    if (n != 1 || dev.fd < 0 || fds[0].fd != dev.fd) return REAL(poll)(fds, n, timeout);
    struct timespec until; clock_gettime(CLOCK_REALTIME, &until); until.tv_sec += timeout / 1000; until.tv_nsec += timeout % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) { until.tv_sec++; until.tv_nsec -= 1000000000L; }
    pthread_mutex_lock(&lock);
    while (!(events() & fds[0].events) && timeout) if (timeout < 0 ? pthread_cond_wait(&changed, &lock) : pthread_cond_timedwait(&changed, &lock, &until)) break;
    fds[0].revents = events() & fds[0].events; pthread_mutex_unlock(&lock);
    return fds[0].revents != 0;
}

#define MMAP(name, off) void *name(void *addr, size_t length, int prot, int flags, int fd, off offset) { \
    if (fd >= 0 && fd == dev.fd) { fd = dev.memory[offset / CAPTURE_SIZE]; offset = 0; } \
    static void *(*f)(void *, size_t, int, int, int, off); if (!f) f = dlsym(RTLD_NEXT, #name); return f(addr, length, prot, flags, fd, offset); }
MMAP(mmap, off_t) MMAP(mmap64, off64_t)

int close(int fd) {
    if (fd >= 0 && fd == dev.fd) { pthread_mutex_lock(&lock); stop_encoder(); dev.fd = -1; REAL(close)(dev.peer); pthread_mutex_unlock(&lock); }
    return REAL(close)(fd);
}
