package db

import (
	"syscall"
	"time"
)

// tcpUserTimeout is TCP_USER_TIMEOUT of tcp(7).
const tcpUserTimeout = 0x12

// noticeSilence ends a connection whose peer does not acknowledge what was sent.
func noticeSilence(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		// Not every socket has it (a Unix socket), and it is an improvement only.
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpUserTimeout, int(silenceTime/time.Millisecond))
	})
}
