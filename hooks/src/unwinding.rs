//! What the standard library wants of a C compiler's unwinder, without one.
//!
//! A release aborts on a panic, so nothing is ever unwound there. The standard library still names these functions, and
//! for their sake the dynamic loader would find, map and bind `libgcc_s.so.1` at every start of a hook: a tenth of what
//! starting a process costs. Defined here, they leave libc as the only library of a hook.
//!
//! Whoever names one more of them gets that library back, and is no worse off (`tests/release/main.rs` says so).

#![expect(unsafe_code, reason = "the names are the unwinder's, and there is no other one in the program")]

use std::ffi::{c_int, c_void};
use std::ptr;

// Nobody else may find them: the linker exports what a library that it is shown also has, and a library that is
// preloaded into a hook, and throws and catches, would be given these instead of its own.
// Of ELF alone: Mach-O knows no such word, and binds each library's names to the library that it was linked with.
#[cfg(not(target_vendor = "apple"))]
std::arch::global_asm!(
    ".hidden _Unwind_Backtrace",
    ".hidden _Unwind_Resume",
    ".hidden _Unwind_GetIP",
    ".hidden _Unwind_GetIPInfo",
    ".hidden _Unwind_GetRegionStart",
    ".hidden _Unwind_GetTextRelBase",
    ".hidden _Unwind_GetDataRelBase",
    ".hidden _Unwind_GetLanguageSpecificData",
    ".hidden _Unwind_SetGR",
    ".hidden _Unwind_SetIP",
);

/// `_URC_END_OF_STACK`: what a walk over the stack ends with.
const END_OF_STACK: c_int = 5;

/// The backtrace of a panic: it has no frames.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(_callback: *const c_void, _argument: *mut c_void) -> c_int {
    END_OF_STACK
}

/// Goes on with what nothing here can have begun.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume(_exception: *mut c_void) -> ! {
    std::process::abort()
}

// What is asked about a frame, of which there are none.

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetIP(_frame: *mut c_void) -> usize {
    0
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetIPInfo(_frame: *mut c_void, _before: *mut c_int) -> usize {
    0
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetRegionStart(_frame: *mut c_void) -> usize {
    0
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetTextRelBase(_frame: *mut c_void) -> usize {
    0
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetDataRelBase(_frame: *mut c_void) -> usize {
    0
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_GetLanguageSpecificData(_frame: *mut c_void) -> *mut c_void {
    ptr::null_mut()
}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_SetGR(_frame: *mut c_void, _register: c_int, _value: usize) {}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_SetIP(_frame: *mut c_void, _at: usize) {}
