// LD_PRELOAD: /dev, /dev/video*, /dev/v4l and /sys/class/video4linux are those below $V4L2_CAMERAS.
// Each file dev/videoN there describes one camera (tests/support/v4l2_cameras.py writes it); removing it is an unplug.
// state/videoN.stall stops the pictures; state/videoN.controls has the values that were set, the last one counts.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MAX_FD 1024
#define BUFFERS 8
#define MODES 32
#define CONTROLS 32
#define ITEMS 8

struct mode { unsigned fourcc, width, height, step, rates[8], rate_count; char content[256]; };
struct control { unsigned id, type, flags, item_count; long long min, max, step, standard; char name[32], items[ITEMS][32]; };
struct camera {
    char state[512], driver[16], card[32], bus[32];
    unsigned caps, device_caps, mode_count, control_count, wall_clock, refuse_errno;
    struct mode modes[MODES];
    struct control controls[CONTROLS];
    const struct mode *mode;
    unsigned width, height, rate, size, sequence;
    unsigned char *memory[BUFFERS], *content;
    size_t content_bytes, at;
    int queue[BUFFERS], streaming, force_key;
    unsigned head, tail, count;
    struct timespec due;
};
static struct camera *cameras[MAX_FD];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(result, name, ...) \
    static result (*real)(__VA_ARGS__); \
    if (!real) real = dlsym(RTLD_NEXT, name)

static const char *mapped(const char *path, char *buffer) {
    const char *root = getenv("V4L2_CAMERAS");
    if (!root || !path) return path;
    if (strcmp(path, "/dev") && strncmp(path, "/dev/video", 10) && strncmp(path, "/dev/v4l", 8) &&
        strncmp(path, "/sys/class/video4linux", 22)) return path;
    snprintf(buffer, 512, "%s%s", root, path);
    return buffer;
}

static unsigned fourcc(const char *text) { return v4l2_fourcc(text[0], text[1], text[2], text[3]); }

static struct camera *described(const char *file) {
    FILE *in = fopen(file, "r");
    if (!in) return NULL;
    struct camera *it = calloc(1, sizeof *it);
    char line[512], word[32];
    const char *name = strrchr(file, '/') + 1;
    snprintf(it->state, sizeof it->state, "%.*s/../state/%.32s", (int)(name - 1 - file), file, name);
    while (fgets(line, sizeof line, in)) {
        line[strcspn(line, "\n")] = 0;
        char *value = strchr(line, ' ');
        if (!value) continue;
        *value++ = 0;
        if (!strcmp(line, "driver")) snprintf(it->driver, sizeof it->driver, "%s", value);
        else if (!strcmp(line, "card")) snprintf(it->card, sizeof it->card, "%s", value);
        else if (!strcmp(line, "bus")) snprintf(it->bus, sizeof it->bus, "%s", value);
        else if (!strcmp(line, "caps")) it->caps = strtoul(value, NULL, 16);
        else if (!strcmp(line, "device_caps")) it->device_caps = strtoul(value, NULL, 16);
        else if (!strcmp(line, "wall_clock")) it->wall_clock = 1;
        else if (!strcmp(line, "refuse")) it->refuse_errno = atoi(value);
        else if (!strcmp(line, "mode") && it->mode_count < MODES) {
            // FOURCC WIDTH HEIGHT STEP RATE,RATE [CONTENT]; a STEP that is not 0: all sizes from 16x16 in such steps
            struct mode *m = &it->modes[it->mode_count++];
            char code[8], rates[64];
            sscanf(value, "%7s %u %u %u %63s %255s", code, &m->width, &m->height, &m->step, rates, m->content);
            m->fourcc = fourcc(code);
            for (char *rest = NULL, *each = strtok_r(rates, ",", &rest); each && m->rate_count < 8; each = strtok_r(NULL, ",", &rest))
                m->rates[m->rate_count++] = atoi(each);
        } else if (!strcmp(line, "control") && it->control_count < CONTROLS) {
            // ID TYPE FLAGS MIN MAX STEP DEFAULT NAME
            struct control *c = &it->controls[it->control_count++];
            sscanf(value, "%x %u %x %lld %lld %lld %lld %31[^\n]", &c->id, &c->type, &c->flags, &c->min, &c->max,
                   &c->step, &c->standard, c->name);
        } else if (!strcmp(line, "item") && it->control_count) {
            // of the control before it: INDEX NAME
            struct control *c = &it->controls[it->control_count - 1];
            unsigned index = 0;
            if (sscanf(value, "%u %31[^\n]", &index, word) == 2 && index < ITEMS) snprintf(c->items[index], 32, "%s", word);
        }
    }
    fclose(in);
    it->mode = it->modes;
    it->width = it->mode->width, it->height = it->mode->height, it->rate = it->mode->rates[0];
    return it;
}

static int opened(int fd, const char *path, const char *original) {
    if (fd >= 0 && fd < MAX_FD && path != original && !strncmp(original, "/dev/video", 10)) {
        pthread_mutex_lock(&lock);
        free(cameras[fd]);
        cameras[fd] = described(path);
        pthread_mutex_unlock(&lock);
    }
    return fd;
}
#define OPEN(name) \
    int name(const char *path, int flags, ...) { \
        va_list rest; va_start(rest, flags); int mode = va_arg(rest, int); va_end(rest); \
        REAL(int, #name, const char *, int, ...); \
        char buffer[512]; const char *to = mapped(path, buffer); \
        return opened(real(to, flags, mode), to, path); \
    }
OPEN(open)
OPEN(open64)
DIR *opendir(const char *path) { REAL(DIR *, "opendir", const char *); char b[512]; return real(mapped(path, b)); }
int stat(const char *p, struct stat *s) { REAL(int, "stat", const char *, struct stat *); char b[512]; return real(mapped(p, b), s); }
int stat64(const char *p, struct stat64 *s) { REAL(int, "stat64", const char *, struct stat64 *); char b[512]; return real(mapped(p, b), s); }
int lstat(const char *p, struct stat *s) { REAL(int, "lstat", const char *, struct stat *); char b[512]; return real(mapped(p, b), s); }
int lstat64(const char *p, struct stat64 *s) { REAL(int, "lstat64", const char *, struct stat64 *); char b[512]; return real(mapped(p, b), s); }
ssize_t readlink(const char *p, char *to, size_t n) { REAL(ssize_t, "readlink", const char *, char *, size_t); char b[512]; return real(mapped(p, b), to, n); }

static struct camera *of(int fd) { return fd >= 0 && fd < MAX_FD ? cameras[fd] : NULL; }

int close(int fd) {
    REAL(int, "close", int);
    struct camera *it = of(fd);
    if (it) { cameras[fd] = NULL; if (it->content) munmap(it->content, it->content_bytes); free(it); }
    return real(fd);
}

static void *memory(struct camera *it, size_t length, off_t offset) {
    unsigned index = offset / it->size;
    if (index >= BUFFERS) return MAP_FAILED;
    return it->memory[index] = calloc(1, length);
}
void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset) {
    REAL(void *, "mmap", void *, size_t, int, int, int, off_t);
    return of(fd) ? memory(of(fd), n, offset) : real(at, n, protection, flags, fd, offset);
}
void *mmap64(void *at, size_t n, int protection, int flags, int fd, off64_t offset) {
    REAL(void *, "mmap64", void *, size_t, int, int, int, off64_t);
    return of(fd) ? memory(of(fd), n, offset) : real(at, n, protection, flags, fd, offset);
}

static int fail(int number) { errno = number; return -1; }

static int gone(int fd) { struct stat s; return fstat(fd, &s) || s.st_nlink == 0; }

static void pixel_format(struct camera *it, struct v4l2_pix_format *pix) {
    memset(pix, 0, sizeof *pix);
    unsigned pixels = it->width * it->height;
    int planar = it->mode->fourcc == V4L2_PIX_FMT_NV12 || it->mode->fourcc == V4L2_PIX_FMT_YUV420;
    pix->width = it->width, pix->height = it->height, pix->pixelformat = it->mode->fourcc;
    pix->field = V4L2_FIELD_NONE, pix->colorspace = V4L2_COLORSPACE_SRGB;
    pix->bytesperline = planar ? it->width : it->width * 2;
    pix->sizeimage = it->size = planar ? pixels * 3 / 2 : pixels * 2;
}

static void set_format(struct camera *it, unsigned wanted, unsigned width, unsigned height) {
    const struct mode *best = NULL;
    for (unsigned i = 0; i < it->mode_count; i++) {
        const struct mode *m = &it->modes[i];
        if (m->fourcc != wanted) continue;
        if (!best || (m->width == width && m->height == height)) best = m;
    }
    it->mode = best ? best : it->modes;
    it->width = it->mode->step && width <= it->mode->width ? width : it->mode->width;
    it->height = it->mode->step && height <= it->mode->height ? height : it->mode->height;
    it->rate = it->mode->rates[0];
}

static struct control *control(struct camera *it, unsigned id) {
    for (unsigned i = 0; i < it->control_count; i++) if (it->controls[i].id == id) return &it->controls[i];
    return NULL;
}

static long long value(struct camera *it, const struct control *c) {
    char path[600], line[128];
    snprintf(path, sizeof path, "%s.controls", it->state);
    long long found = c->standard, each;
    FILE *in = fopen(path, "r");
    if (!in) return found;
    unsigned id;
    while (fgets(line, sizeof line, in)) if (sscanf(line, "%x=%lld", &id, &each) == 2 && id == c->id) found = each;
    fclose(in);
    return found;
}

static int ext_controls(struct camera *it, struct v4l2_ext_controls *all, int set) {
    for (unsigned i = 0; i < all->count; i++) {
        struct v4l2_ext_control *each = &all->controls[i];
        struct control *c = control(it, each->id);
        all->error_idx = i;
        if (!c) return fail(EINVAL);
        if (!set) { each->value = value(it, c); continue; }
        if (c->flags & V4L2_CTRL_FLAG_READ_ONLY) return fail(EACCES);
        if (c->flags & V4L2_CTRL_FLAG_GRABBED) return fail(EBUSY);
        if (c->type != V4L2_CTRL_TYPE_BUTTON && (each->value < c->min || each->value > c->max)) return fail(ERANGE);
        if (c->id == V4L2_CID_MPEG_VIDEO_FORCE_KEY_FRAME)
            for (int fd = 0; fd < MAX_FD; fd++) // of this process: the one that streams
                if (cameras[fd] && !strcmp(cameras[fd]->state, it->state)) cameras[fd]->force_key = 1;
        char path[600];
        snprintf(path, sizeof path, "%s.controls", it->state);
        FILE *out = fopen(path, "a");
        if (out) { fprintf(out, "%x=%d\n", c->id, each->value); fclose(out); }
    }
    return 0;
}

static int query_control(struct camera *it, struct v4l2_query_ext_ctrl *q) {
    unsigned after = q->id & ~(V4L2_CTRL_FLAG_NEXT_CTRL | V4L2_CTRL_FLAG_NEXT_COMPOUND), next = q->id != after;
    for (unsigned i = 0; i < it->control_count; i++) {
        struct control *c = &it->controls[i]; // in the order of their ids
        if (next ? c->id <= after : c->id != after) continue;
        memset(q, 0, sizeof *q);
        q->id = c->id, q->type = c->type, q->flags = c->flags, q->minimum = c->min, q->maximum = c->max;
        q->step = c->step, q->default_value = c->standard, q->elem_size = 4, q->elems = 1;
        memcpy(q->name, c->name, sizeof q->name);
        return 0;
    }
    return fail(EINVAL);
}

static int fill(struct camera *it, unsigned char *to) {
    if (it->mode->content[0] && !it->content) {
        int file = open(it->mode->content, O_RDONLY);
        struct stat s;
        if (file < 0 || fstat(file, &s)) return 0;
        it->content_bytes = s.st_size;
        it->content = mmap(NULL, s.st_size, PROT_READ, MAP_PRIVATE, file, 0);
        close(file);
    }
    if (!it->content) { // a moving ramp of grey
        for (unsigned n = 0; n < it->size; n++)
            to[n] = it->mode->fourcc == V4L2_PIX_FMT_YUYV && n % 2 ? 128 : (n + it->sequence * 3) & 255;
        return it->size;
    }
    unsigned length;
    for (;;) { // 4 bytes of length, 1 byte that is 1 for a key frame, the data
        if (it->at + 5 > it->content_bytes) it->at = 0;
        memcpy(&length, it->content + it->at, 4);
        if (!it->force_key || it->content[it->at + 4]) break;
        it->at += 5 + length;
    }
    it->force_key = 0;
    if (length > it->size) length = it->size;
    memcpy(to, it->content + it->at + 5, length);
    it->at += 5 + length;
    return length;
}

static int dequeue(int fd, struct camera *it, struct v4l2_buffer *b) {
    char stall[600];
    snprintf(stall, sizeof stall, "%s.stall", it->state);
    long period = 1000000000 / (it->rate ? it->rate : 30);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    it->due.tv_nsec += period;
    if (it->due.tv_nsec >= 1000000000) it->due.tv_nsec -= 1000000000, it->due.tv_sec++;
    // A late reader finds as many filled buffers as there are; the driver dropped the others.
    if ((now.tv_sec - it->due.tv_sec) * 1000000000LL + now.tv_nsec - it->due.tv_nsec > (long long)period * BUFFERS) it->due = now;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &it->due, NULL);
    while (!access(stall, F_OK) && !gone(fd)) usleep(20000);
    while (it->head == it->tail && !gone(fd)) usleep(1000);
    if (gone(fd)) return fail(ENODEV);
    int index = it->queue[it->head++ % BUFFERS];
    b->index = index;
    b->bytesused = fill(it, it->memory[index]);
    b->sequence = it->sequence++;
    b->flags = it->wall_clock ? 0 : V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
    struct timespec at = it->due;
    if (it->wall_clock) clock_gettime(CLOCK_REALTIME, &at);
    b->timestamp.tv_sec = at.tv_sec, b->timestamp.tv_usec = at.tv_nsec / 1000;
    return 0;
}

static int enumerate_sizes(struct camera *it, struct v4l2_frmsizeenum *e) {
    unsigned index = 0;
    for (unsigned i = 0; i < it->mode_count; i++) {
        struct mode *m = &it->modes[i];
        if (m->fourcc != e->pixel_format || index++ != e->index) continue;
        if (m->step) {
            e->type = V4L2_FRMSIZE_TYPE_STEPWISE;
            e->stepwise = (struct v4l2_frmsize_stepwise){16, m->width, m->step, 16, m->height, m->step};
        } else {
            e->type = V4L2_FRMSIZE_TYPE_DISCRETE;
            e->discrete.width = m->width, e->discrete.height = m->height;
        }
        return 0;
    }
    return fail(EINVAL);
}

static int enumerate_rates(struct camera *it, struct v4l2_frmivalenum *e) {
    for (unsigned i = 0; i < it->mode_count; i++) {
        struct mode *m = &it->modes[i];
        if (m->fourcc != e->pixel_format || (!m->step && (m->width != e->width || m->height != e->height))) continue;
        if (e->index >= m->rate_count) break;
        e->type = V4L2_FRMIVAL_TYPE_DISCRETE;
        e->discrete.numerator = 1, e->discrete.denominator = m->rates[e->index];
        return 0;
    }
    return fail(EINVAL);
}

static int enumerate_formats(struct camera *it, struct v4l2_fmtdesc *d) {
    unsigned index = 0;
    for (unsigned i = 0; i < it->mode_count; i++) {
        unsigned seen = 0;
        for (unsigned j = 0; j < i; j++) seen |= it->modes[j].fourcc == it->modes[i].fourcc;
        if (seen || index++ != d->index) continue;
        d->pixelformat = it->modes[i].fourcc;
        memcpy(d->description, &d->pixelformat, 4);
        return 0;
    }
    return fail(EINVAL);
}

static int rate(struct camera *it, struct v4l2_streamparm *p, int set) {
    struct v4l2_captureparm *c = &p->parm.capture;
    if (set && c->timeperframe.numerator) {
        unsigned wanted = c->timeperframe.denominator / c->timeperframe.numerator;
        for (unsigned i = 0; i < it->mode->rate_count; i++) if (it->mode->rates[i] == wanted) it->rate = wanted;
    }
    c->capability = V4L2_CAP_TIMEPERFRAME;
    c->timeperframe.numerator = 1, c->timeperframe.denominator = it->rate;
    return 0;
}

int ioctl(int fd, unsigned long number, ...) {
    va_list rest; va_start(rest, number); void *argument = va_arg(rest, void *); va_end(rest);
    REAL(int, "ioctl", int, unsigned long, ...);
    struct camera *it = of(fd);
    if (!it) return real(fd, number, argument);
    if (gone(fd)) return fail(ENODEV);
    struct v4l2_buffer *b = argument;
    struct v4l2_requestbuffers *r = argument;
    struct v4l2_format *f = argument;
    switch ((unsigned)number) {
    case VIDIOC_QUERYCAP: {
        struct v4l2_capability *c = argument;
        memset(c, 0, sizeof *c);
        memcpy(c->driver, it->driver, 16), memcpy(c->card, it->card, 32), memcpy(c->bus_info, it->bus, 32);
        c->capabilities = it->caps | V4L2_CAP_DEVICE_CAPS, c->device_caps = it->device_caps;
        return 0; }
    case VIDIOC_ENUM_FMT: return enumerate_formats(it, argument);
    case VIDIOC_ENUM_FRAMESIZES: return enumerate_sizes(it, argument);
    case VIDIOC_ENUM_FRAMEINTERVALS: return enumerate_rates(it, argument);
    case VIDIOC_QUERY_EXT_CTRL: return query_control(it, argument);
    case VIDIOC_QUERYMENU: {
        struct v4l2_querymenu *q = argument;
        struct control *c = control(it, q->id);
        if (!c || q->index >= ITEMS || !c->items[q->index][0]) return fail(EINVAL);
        if (c->type == V4L2_CTRL_TYPE_INTEGER_MENU) q->value = atoll(c->items[q->index]);
        else memcpy(q->name, c->items[q->index], 32);
        return 0; }
    case VIDIOC_G_EXT_CTRLS: return ext_controls(it, argument, 0);
    case VIDIOC_S_EXT_CTRLS: return ext_controls(it, argument, 1);
    case VIDIOC_S_FMT:
        if (it->refuse_errno) return fail(it->refuse_errno);
        if (flock(fd, LOCK_EX | LOCK_NB)) return fail(EBUSY);
        set_format(it, f->fmt.pix.pixelformat, f->fmt.pix.width, f->fmt.pix.height);
        pixel_format(it, &f->fmt.pix);
        return 0;
    case VIDIOC_G_FMT: pixel_format(it, &f->fmt.pix); return 0;
    case VIDIOC_G_PARM: return rate(it, argument, 0);
    case VIDIOC_S_PARM: return rate(it, argument, 1);
    case VIDIOC_G_INPUT: *(int *)argument = 0; return 0;
    case VIDIOC_S_INPUT: return 0;
    case VIDIOC_ENUMINPUT: {
        struct v4l2_input *i = argument;
        if (i->index) return fail(EINVAL);
        memset(i, 0, sizeof *i);
        i->type = V4L2_INPUT_TYPE_CAMERA;
        return 0; }
    case VIDIOC_REQBUFS:
        if (r->count > BUFFERS) r->count = BUFFERS;
        it->count = r->count, it->head = it->tail = 0;
        return 0;
    case VIDIOC_QUERYBUF: b->length = it->size, b->m.offset = b->index * it->size; return 0;
    case VIDIOC_QBUF: it->queue[it->tail++ % BUFFERS] = b->index; return 0;
    case VIDIOC_STREAMON: clock_gettime(CLOCK_MONOTONIC, &it->due); it->streaming = 1; return 0;
    case VIDIOC_STREAMOFF: it->streaming = 0; return 0;
    case VIDIOC_DQBUF: return dequeue(fd, it, b);
    }
    return fail(ENOTTY);
}
