/* A wall clock that jumps, for the processes that are started with it (LD_PRELOAD): see jumping_clock.py.

   What programs ask the C library for the time of day is shifted by the seconds in the file $JUMPING_CLOCK, as they are
   at that moment. The clock that only counts on stays as it is, as on a machine whose time of day is set anew. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile long long *shift;

__attribute__((constructor)) static void begin(void) {
  const char *name = getenv("JUMPING_CLOCK");
  int file = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0) return;
  void *page = mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (page != MAP_FAILED) shift = page;
}

static long long ahead(void) { return shift ? *shift : 0; }

int clock_gettime(clockid_t clock, struct timespec *now) {
  int failed = (int)syscall(SYS_clock_gettime, clock, now);
  if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += ahead();
  return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec exact;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &exact)) return -1;
  now->tv_sec = exact.tv_sec;
  now->tv_usec = exact.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *now) {
  struct timespec exact;
  if (clock_gettime(CLOCK_REALTIME, &exact)) return -1;
  if (now) *now = exact.tv_sec;
  return exact.tv_sec;
}

/* The kernel waits by its own clock. A deadline by the time of day is seconds since 1970; by the other clock it is seconds
   since the machine was started, which are few. */
static const struct timespec *by_kernel(const struct timespec *until, struct timespec *place) {
  if (!until || until->tv_sec < 500000000) return until;
  *place = *until;
  place->tv_sec -= ahead();
  return place;
}

/* Not the first version of the C library, which is of another layout. */
static void *next(const char *name) {
  void *found = dlvsym(RTLD_NEXT, name, "GLIBC_2.3.2");
  return found ? found : dlsym(RTLD_NEXT, name);
}

int pthread_cond_timedwait(
    pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex, const struct timespec *restrict until) {
  static int (*wait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
  struct timespec place;
  if (!wait) wait = next("pthread_cond_timedwait");
  return wait(condition, mutex, by_kernel(until, &place));
}

int pthread_cond_clockwait(
    pthread_cond_t *condition, pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until) {
  static int (*wait)(pthread_cond_t *, pthread_mutex_t *, clockid_t, const struct timespec *);
  struct timespec place;
  if (!wait) wait = next("pthread_cond_clockwait");
  return wait(condition, mutex, clock, by_kernel(until, &place));
}

int sem_timedwait(sem_t *restrict semaphore, const struct timespec *restrict until) {
  static int (*wait)(sem_t *, const struct timespec *);
  struct timespec place;
  if (!wait) wait = next("sem_timedwait");
  return wait(semaphore, by_kernel(until, &place));
}

int sem_clockwait(sem_t *restrict semaphore, clockid_t clock, const struct timespec *restrict until) {
  static int (*wait)(sem_t *, clockid_t, const struct timespec *);
  struct timespec place;
  if (!wait) wait = next("sem_clockwait");
  return wait(semaphore, clock, by_kernel(until, &place));
}
