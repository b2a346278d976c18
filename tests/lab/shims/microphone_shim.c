/* Gives ALSA devices that are backed by PulseAudio the limits of a USB microphone.
 *
 * PulseAudio converts to any rate and number of channels, for any number of readers. /etc/lab-microphones
 * names devices, one a line: `name rate channels`. Preloaded, this offers only that rate and these channels, to one
 * reader at a time; others get EBUSY, and ENODEV if a device has no lock file, which means that it is unplugged.
 *
 * gcc -shared -fPIC -O2 -o microphone_shim.so microphone_shim.c -lasound -ldl
 */
#define _GNU_SOURCE
#include <alsa/asoundlib.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define LOCKS "/run/lab-microphone"
enum { OPEN_AT_ONCE = 16 };

static struct narrow { snd_pcm_t *pcm; int lock; unsigned rate, channels; } devices[OPEN_AT_ONCE];

static int lookup(const char *wanted, struct narrow *found) {
    char name[64];
    int known = 0;
    FILE *list = fopen("/etc/lab-microphones", "re");
    while (list && !known && fscanf(list, "%63s %u %u", name, &found->rate, &found->channels) == 3)
        known = !strcmp(name, wanted);
    if (list) fclose(list);
    return known;
}

static struct narrow *device_of(snd_pcm_t *pcm) {
    for (int i = 0; i < OPEN_AT_ONCE; i++)
        if (devices[i].pcm == pcm) return &devices[i];
    return NULL;
}

int snd_pcm_open(snd_pcm_t **pcm, const char *name, snd_pcm_stream_t stream, int mode) {
    static int (*real)(snd_pcm_t **, const char *, snd_pcm_stream_t, int);
    if (!real) real = dlsym(RTLD_NEXT, "snd_pcm_open");
    struct narrow wanted;
    if (!lookup(name, &wanted)) return real(pcm, name, stream, mode);
    if (stream == SND_PCM_STREAM_PLAYBACK) return -ENOENT;
    char path[128];
    snprintf(path, sizeof path, LOCKS "/%s.lock", name);
    wanted.lock = open(path, O_RDONLY | O_CLOEXEC);
    if (wanted.lock < 0) return -ENODEV;
    if (flock(wanted.lock, LOCK_EX | LOCK_NB)) {
        close(wanted.lock);
        return -EBUSY;
    }
    int result = real(pcm, name, stream, mode);
    struct narrow *slot = result < 0 ? NULL : device_of(NULL);
    if (!slot) {
        close(wanted.lock);
        return result;
    }
    wanted.pcm = *pcm;
    *slot = wanted;
    return result;
}

int snd_pcm_close(snd_pcm_t *pcm) {
    static int (*real)(snd_pcm_t *);
    if (!real) real = dlsym(RTLD_NEXT, "snd_pcm_close");
    struct narrow *device = device_of(pcm);
    int result = real(pcm);
    if (device) {
        close(device->lock);
        device->pcm = NULL;
    }
    return result;
}

int snd_pcm_hw_params_any(snd_pcm_t *pcm, snd_pcm_hw_params_t *params) {
    static int (*real)(snd_pcm_t *, snd_pcm_hw_params_t *);
    if (!real) real = dlsym(RTLD_NEXT, "snd_pcm_hw_params_any");
    int result = real(pcm, params);
    struct narrow *device = device_of(pcm);
    if (device && result >= 0) {
        snd_pcm_hw_params_set_rate(pcm, params, device->rate, 0);
        snd_pcm_hw_params_set_channels(pcm, params, device->channels);
    }
    return result;
}
