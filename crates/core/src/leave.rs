//! How a process ends that nobody may wait for: in time, with success and without a word, also where it can no longer go
//! on. For hooks.
//!
//! What is in the way is not asked: a disk or a pipe that takes nothing, memory that is not to be had, a fault. Each has
//! a way out that needs neither memory nor anything of the standard library.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ffi::{c_int, c_void};
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Room for a handler where the stack is used up: more than the registers of any processor take.
const HANDLER_STACK_BYTES: usize = 32 * 1024;
/// Signals of a process that cannot go on, and that of its timer.
const SIGNALS: [c_int; 5] = [libc::SIGALRM, libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGABRT];

/// Ends the process at once, with success.
#[expect(unsafe_code, reason = "the standard library's exit runs what may be in the way")]
pub fn at_once() -> ! {
    // SAFETY: may be called from anywhere, a signal's handler too.
    unsafe { libc::_exit(0) }
}

extern "C" fn handler(_: c_int) {
    at_once()
}

/// Ends this process with success after `left`, whatever it waits for, and where it would be ended by a fault of its own.
///
/// A few system calls, for the hot path: what waits for a disk that does not answer may not be woken by a signal (see
/// [`however_stalled`]).
#[expect(unsafe_code, reason = "signals and timers are libc's")]
pub fn after(left: Duration) {
    static mut STACK: [u8; HANDLER_STACK_BYTES] = [0; HANDLER_STACK_BYTES];
    let stack = libc::stack_t { ss_sp: (&raw mut STACK).cast(), ss_flags: 0, ss_size: HANDLER_STACK_BYTES };
    let time = libc::timeval {
        tv_sec: libc::time_t::try_from(left.as_secs()).unwrap_or(libc::time_t::MAX),
        // A timer of nothing would be none.
        tv_usec: libc::suseconds_t::from(left.subsec_micros().max(1).cast_signed()),
    };
    let once = libc::itimerval { it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 }, it_value: time };
    // SAFETY: called before there are other threads; the handler makes one system call, and its stack is used by nothing
    // else; zeroed structs are valid ones.
    unsafe {
        libc::sigaltstack(&raw const stack, ptr::null_mut());
        let mut action: libc::sigaction = mem::zeroed();
        action.sa_sigaction = handler as extern "C" fn(c_int) as usize;
        action.sa_flags = libc::SA_ONSTACK;
        let mut all: libc::sigset_t = mem::zeroed();
        for signal in SIGNALS {
            libc::sigaction(signal, &raw const action, ptr::null_mut());
            libc::sigaddset(&raw mut all, signal);
        }
        // Whoever started this process may have had them blocked.
        libc::sigprocmask(libc::SIG_UNBLOCK, &raw const all, ptr::null_mut());
        libc::setitimer(libc::ITIMER_REAL, &raw const once, ptr::null_mut());
    }
}

/// Ends this process with success at `end` also where it waits for a disk in a way that only the end of the process
/// ends. It takes a thread: call it before files are written for safe keeping, and not on the hot path.
#[expect(unsafe_code, reason = "a thread of the standard library brings 10 KiB into a hook")]
pub fn however_stalled(end: Instant) {
    static IS_WATCHED: AtomicBool = AtomicBool::new(false);
    if IS_WATCHED.swap(true, Ordering::Relaxed) {
        return;
    }
    let left = u32::try_from(end.saturating_duration_since(Instant::now()).as_micros()).unwrap_or(u32::MAX);
    let mut thread = mem::MaybeUninit::uninit();
    // SAFETY: the thread touches nothing of this one's; its argument is a number. Without one the timer has to do.
    unsafe {
        libc::pthread_create(thread.as_mut_ptr(), ptr::null(), watch, ptr::without_provenance_mut(left as usize));
    }
}

extern "C" fn watch(micros: *mut c_void) -> *mut c_void {
    std::thread::sleep(Duration::from_micros(micros.addr() as u64));
    at_once()
}

/// Memory, or the end of the process: a hook that gets none lets go.
#[derive(Debug)]
pub struct OrLeave;

impl OrLeave {
    fn given(memory: *mut u8) -> *mut u8 {
        if memory.is_null() { at_once() } else { memory }
    }
}

// SAFETY: the system's allocator, whose failure is not survived.
#[expect(unsafe_code, reason = "an allocator's methods are unsafe")]
unsafe impl GlobalAlloc for OrLeave {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller has promised, here and below.
        Self::given(unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: see above.
        Self::given(unsafe { System.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: see above.
        Self::given(unsafe { System.realloc(memory, layout, size) })
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: see above.
        unsafe { System.dealloc(memory, layout) }
    }
}
