package poller

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls of a poller and its handlers never block, so they are raw: Go's
// scheduler isn't informed of them. The first system call that is not raw after an idle
// time of the process wakes the runtime's monitor thread, which then runs for a while
// and costs more than a small message.

// pollNow calls epoll_wait(2) without waiting.
func pollNow(set uintptr, events []unix.EpollEvent) (int, syscall.Errno) {
	n, _, err := syscall.RawSyscall6(syscall.SYS_EPOLL_PWAIT, set, uintptr(unsafe.Pointer(&events[0])),
		uintptr(len(events)), 0, 0, 0)
	if err != 0 {
		return 0, err
	}
	return int(n), 0
}

// ReadNow calls read(2) on a non-blocking socket. It returns 0 at the end of the
// stream, and with an error.
func ReadNow(fd int, p []byte) (int, syscall.Errno) { return now(syscall.SYS_READ, fd, p) }

// WriteNow calls write(2) on a non-blocking socket. It returns 0 with an error.
func WriteNow(fd int, p []byte) (int, syscall.Errno) { return now(syscall.SYS_WRITE, fd, p) }

func now(call uintptr, fd int, p []byte) (int, syscall.Errno) {
	n, _, err := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	if err != 0 {
		return 0, err
	}
	return int(n), 0
}
