//! A disk that does not answer: a library that is preloaded into a program has its calls wait for as long as a file is
//! there, as the kernel does with a disk: no signal ends the wait, only the end of the process.

use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCE: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void wait_for_disk(int fd, int syncs) {
    const char *flag = getenv("STALLED_WHILE"), *what = getenv("STALLED_PATH");
    char link[64], path[4096], mark[4096];
    if (!flag || access(flag, F_OK) != 0 || (getenv("STALLED_SYNC") && !syncs)) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return;
    path[length] = 0;
    if (what && !strstr(path, what)) return;
    snprintf(mark, sizeof mark, "%s.hit", flag);
    int made = syscall(SYS_openat, AT_FDCWD, mark, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (made >= 0) close(made);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (access(flag, F_OK) == 0) {
        struct timespec moment = {0, 5000000};
        nanosleep(&moment, NULL);
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

int fsync(int fd) { wait_for_disk(fd, 1); return syscall(SYS_fsync, fd); }
int fdatasync(int fd) { wait_for_disk(fd, 1); return syscall(SYS_fdatasync, fd); }
ssize_t pread64(int fd, void *to, size_t n, off64_t at) { wait_for_disk(fd, 0); return syscall(SYS_pread64, fd, to, n, at); }
ssize_t pread(int fd, void *to, size_t n, off_t at) { wait_for_disk(fd, 0); return syscall(SYS_pread64, fd, to, n, at); }
ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at) { wait_for_disk(fd, 0); return syscall(SYS_pwrite64, fd, from, n, at); }
ssize_t pwrite(int fd, const void *from, size_t n, off_t at) { wait_for_disk(fd, 0); return syscall(SYS_pwrite64, fd, from, n, at); }
ssize_t write(int fd, const void *from, size_t n) { wait_for_disk(fd, 0); return syscall(SYS_write, fd, from, n); }
static int locks(int fd, int cmd, void *with) { wait_for_disk(fd, 0); return syscall(SYS_fcntl, fd, cmd, with); }
int fcntl(int fd, int cmd, ...) { va_list rest; va_start(rest, cmd); void *with = va_arg(rest, void *); va_end(rest); return locks(fd, cmd, with); }
int fcntl64(int fd, int cmd, ...) { va_list rest; va_start(rest, cmd); void *with = va_arg(rest, void *); va_end(rest); return locks(fd, cmd, with); }
"#;

/// The library, and the file that stalls whoever it is preloaded into.
pub struct Stalling {
    library: PathBuf,
    flag: PathBuf,
}

impl Stalling {
    /// Builds it in `dir`; `None`, and says so, where that is not possible.
    pub fn built(dir: &Path) -> Option<Self> {
        let (source, library) = (dir.join("stalling.c"), dir.join("stalling.so"));
        std::fs::write(&source, SOURCE).unwrap();
        let built = Command::new("cc").args(["-shared", "-fPIC", "-pthread", "-o"]).arg(&library).arg(&source).output();
        if !built.as_ref().is_ok_and(|built| built.status.success()) {
            // Not through a print macro: the test harness would swallow that.
            let _ =
                std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED: no C compiler for a preloaded library\n");
            return None;
        }
        Some(Self { library, flag: dir.join("stalled") })
    }

    /// What is set for a program whose disk stalls at files whose path contains `part`, where only writes for safe keeping
    /// (`fsync`) are `sync`, or all reads, writes and locks.
    pub fn variables(&self, part: &str, sync: bool) -> Vec<(String, String)> {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let mut variables = vec![
            ("LD_PRELOAD".to_owned(), text(&self.library)),
            ("STALLED_WHILE".to_owned(), text(&self.flag)),
            ("STALLED_PATH".to_owned(), part.to_owned()),
        ];
        if sync {
            variables.push(("STALLED_SYNC".to_owned(), "1".to_owned()));
        }
        variables
    }

    /// From now on nothing is answered.
    pub fn stall(&self) {
        let _ = std::fs::remove_file(self.mark());
        std::fs::write(&self.flag, "").unwrap();
    }

    /// The disk is well again.
    pub fn heal(&self) {
        std::fs::remove_file(&self.flag).unwrap();
    }

    /// Whether anybody has waited for the disk since [`Stalling::stall`].
    pub fn was_met(&self) -> bool {
        self.mark().exists()
    }

    fn mark(&self) -> PathBuf {
        self.flag.with_extension("hit")
    }
}
