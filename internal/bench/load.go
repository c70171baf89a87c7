package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

// Checks that every answer gets.
const (
	checkConsent = "consent" // JSON; record_id is the one that was sent, the status is right
	checkBytes   = "bytes"   // exactly these bytes
	checkJSON    = "json"    // JSON
)

// loadSpec is one load: bounded in time, on loopback, with a fixed number of
// connections, each of which sends its next request when the last was answered.
type loadSpec struct {
	Addr        string   // 127.0.0.1:port
	Addrs       []string // several servers in place of it: each connection has one of them, in turn
	Requests    []requestSpec
	Connections int
	Warm        time.Duration // load before anything is counted
	Measure     time.Duration
	Code        int     // HTTP status that every answer has to have
	Check       string  // one of the checks
	Bytes       []byte  // for checkBytes
	Rate        float64 // requests a second of all connections together, at an even pace; 0: as fast as answers come
	Ordinary    bool    // send through Go's http.Client, as most load generators cost, instead of the lean one
}

// loadResult is what the load generator saw. Latencies are of the measured part.
type loadResult struct {
	PerSecond     float64
	P50, P99, Max time.Duration
	Measured      int           // answers in the measured part
	Accepted      int           // every answer that passed its check, warm-up included
	CPU           time.Duration // of the generator, over the whole load
}

// graceForAnswers is how long answers may take after the end of a load.
const graceForAnswers = 20 * time.Second

// runLoad opens the connections, loads, and checks every answer. The first
// wrong answer ends it with an error: a figure with failures in it is no figure.
func runLoad(ctx context.Context, s loadSpec) (*loadResult, error) {
	if len(s.Addrs) == 0 {
		s.Addrs = []string{s.Addr}
	}
	for _, addr := range s.Addrs {
		if err := onLoopback(addr); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	clients := make([]*client, s.Connections)
	for i := range clients {
		c, err := newClient(ctx, &s, s.Addrs[i%len(s.Addrs)])
		if err != nil {
			return nil, err
		}
		defer c.conn.Close()
		clients[i] = c
	}
	begin := time.Now()
	from := begin.Add(s.Warm)
	until := from.Add(s.Measure)
	stop := context.AfterFunc(ctx, func() {
		for _, c := range clients {
			c.conn.SetDeadline(time.Unix(1, 0))
		}
	})
	defer stop()
	var work sync.WaitGroup
	for i, c := range clients {
		work.Go(func() {
			c.conn.SetDeadline(until.Add(graceForAnswers))
			if err := c.run(i, from, until); err != nil {
				cancel(err)
			}
		})
	}
	work.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	r := summary(clients, s.Measure)
	if r.Measured == 0 {
		return nil, fmt.Errorf("no answer came within the measured %s", s.Measure)
	}
	return r, nil
}

// onLoopback keeps the load on this machine.
func onLoopback(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("%s is not an address of the loopback range: the load generator only loads this machine", addr)
	}
	return nil
}

func summary(clients []*client, measured time.Duration) *loadResult {
	r := new(loadResult)
	var all []time.Duration
	for _, c := range clients {
		all = append(all, c.took...)
		r.Accepted += c.accepted
	}
	slices.Sort(all)
	r.Measured = len(all)
	r.PerSecond = float64(len(all)) / measured.Seconds()
	if len(all) > 0 {
		r.P50, r.P99, r.Max = all[len(all)/2], all[len(all)*99/100], all[len(all)-1]
	}
	return r
}

// client is one connection and the goroutine that owns it.
type client struct {
	spec     *loadSpec
	addr     string
	conn     net.Conn
	requests []*request
	answers  answerReader
	ordinary ordinaryClient
	ids      *idSource
	took     []time.Duration
	accepted int
}

func newClient(ctx context.Context, s *loadSpec, addr string) (*client, error) {
	c := &client{spec: s, addr: addr, ids: newIDSource()}
	for _, spec := range s.Requests {
		r, err := newRequest(addr, spec)
		if err != nil {
			return nil, err
		}
		c.requests = append(c.requests, r)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	c.conn = conn
	c.answers = answerReader{from: conn, buf: make([]byte, 4<<10)}
	return c, nil
}

func (c *client) run(number int, from, until time.Time) error {
	pace := newPace(c.spec, number)
	for i := number; ; i++ {
		begin := pace.next(until)
		if !begin.Before(until) {
			return nil
		}
		r := c.requests[i%len(c.requests)]
		record := r.renew(c.ids, begin)
		code, body, err := c.exchange(r, c.spec.Requests[i%len(c.requests)])
		if err != nil {
			return fmt.Errorf("no whole answer: %w", err)
		}
		end := time.Now()
		if err := c.spec.check(code, body, record, r.status); err != nil {
			return err
		}
		c.accepted++
		if !end.Before(from) && end.Before(until) {
			c.took = append(c.took, end.Sub(begin))
		}
	}
}

// pace says when a connection sends its next request.
type pace struct {
	each time.Duration // between two; 0: at once
	at   time.Time
}

// newPace spreads the connections over the time between two requests of one.
func newPace(s *loadSpec, number int) *pace {
	if s.Rate <= 0 {
		return new(pace)
	}
	each := time.Duration(float64(s.Connections) / s.Rate * float64(time.Second))
	return &pace{each, time.Now().Add(each * time.Duration(number) / time.Duration(s.Connections))}
}

// next waits for the time of the next request and returns it: one that was held up
// by the one before counts from when it was due.
func (p *pace) next(until time.Time) time.Time {
	if p.each == 0 {
		return time.Now()
	}
	due := p.at
	p.at = p.at.Add(p.each)
	if due.Before(until) {
		time.Sleep(time.Until(due))
	}
	return due
}

func (c *client) exchange(r *request, spec requestSpec) (code int, body []byte, err error) {
	if c.spec.Ordinary {
		return c.ordinary.exchange(c.addr, r, spec)
	}
	if _, err := c.conn.Write(r.bytes); err != nil {
		return 0, nil, err
	}
	return c.answers.next()
}

func (s *loadSpec) check(code int, body, record []byte, status string) error {
	if code != s.Code {
		return fmt.Errorf("answered %d instead of %d: %.300s", code, s.Code, body)
	}
	switch s.Check {
	case checkBytes:
		if !bytes.Equal(body, s.Bytes) {
			return fmt.Errorf("answered %d bytes that are not the %d expected ones", len(body), len(s.Bytes))
		}
	case checkConsent:
		if got := member(body, "record_id"); record == nil || !bytes.Equal(got, record) {
			return fmt.Errorf("the answer names the record %q, the request %q", got, record)
		}
		if got := member(body, "status"); string(got) != status {
			return fmt.Errorf("the answer has the status %q instead of %q", got, status)
		}
	case checkJSON:
		if !json.Valid(body) {
			return fmt.Errorf("the answer is not JSON: %.300s", body)
		}
	default:
		return errors.New("the load names no check")
	}
	return nil
}
