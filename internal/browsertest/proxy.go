package browsertest

import (
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
)

// proxy is a SOCKS 5 proxy (RFC 1928) that takes every host name for 127.0.0.1,
// for engines whose own name look-up cannot be told so. WebSockets pass it too,
// which WebKitGTK does not send through an HTTP proxy.
type proxy struct {
	listener net.Listener
}

func startProxy() (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			here, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer here.Close()
				there, err := answerSocks(here)
				if err != nil {
					return
				}
				defer there.Close()
				var both sync.WaitGroup
				both.Go(func() { io.Copy(there, here); there.Close() })
				both.Go(func() { io.Copy(here, there); here.Close() })
				both.Wait()
			}()
		}
	}()
	return &proxy{l}, nil
}

func (p *proxy) address() string { return "socks5://" + p.listener.Addr().String() }

func (p *proxy) close() { p.listener.Close() }

// answerSocks takes a request to connect and opens the connection: to the port
// that it names, on this machine.
func answerSocks(here net.Conn) (net.Conn, error) {
	var b [256]byte
	read := func(n int) error {
		_, err := io.ReadFull(here, b[:n])
		return err
	}
	// Version and number of methods, methods; 0 is "no authentication".
	if err := read(2); err != nil {
		return nil, err
	}
	if err := read(int(b[1])); err != nil {
		return nil, err
	}
	if _, err := here.Write([]byte{5, 0}); err != nil {
		return nil, err
	}
	// Version, command (1 is CONNECT), reserved, kind of address.
	if err := read(4); err != nil {
		return nil, err
	}
	if b[1] != 1 {
		return nil, errors.New("no CONNECT")
	}
	length := map[byte]int{1: net.IPv4len, 4: net.IPv6len}[b[3]]
	if length == 0 {
		if err := read(1); err != nil {
			return nil, err
		}
		length = int(b[0])
	}
	if err := read(length); err != nil {
		return nil, err
	}
	if err := read(2); err != nil {
		return nil, err
	}
	there, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(b[0])<<8|int(b[1]))))
	status := byte(0)
	if err != nil {
		status = 5 // connection refused
	}
	if _, writeErr := here.Write([]byte{5, status, 0, 1, 127, 0, 0, 1, 0, 0}); err == nil && writeErr != nil {
		there.Close()
		err = writeErr
	}
	return there, err
}
