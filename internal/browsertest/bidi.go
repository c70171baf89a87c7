package browsertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/net/websocket"
)

// object is a JSON object of the protocols.
type object = map[string]any

// bidi is a connection that speaks WebDriver BiDi (W3C), of which the tests need
// a handful of commands and no event.
type bidi struct {
	conn    *websocket.Conn
	mu      sync.Mutex
	last    int
	waiting map[int]chan bidiAnswer
	broken  error // set when the connection has ended
}

type bidiAnswer struct {
	ID      int
	Type    string // success, error or event
	Result  json.RawMessage
	Error   string
	Message string
}

func dialBidi(ctx context.Context, address string) (*bidi, error) {
	config, err := websocket.NewConfig(address, "http://127.0.0.1")
	if err != nil {
		return nil, err
	}
	conn, err := config.DialContext(ctx)
	if err != nil {
		return nil, err
	}
	b := &bidi{conn: conn, waiting: map[int]chan bidiAnswer{}}
	go b.listen()
	return b, nil
}

// listen hands every answer to the caller that waits for it.
func (b *bidi) listen() {
	answers := json.NewDecoder(b.conn)
	for {
		var a bidiAnswer
		err := answers.Decode(&a)
		b.mu.Lock()
		if err != nil {
			b.broken = fmt.Errorf("the browser has ended the connection: %w", err)
			for _, waits := range b.waiting {
				close(waits)
			}
			b.waiting = nil
			b.mu.Unlock()
			return
		}
		waits := b.waiting[a.ID]
		delete(b.waiting, a.ID)
		b.mu.Unlock()
		if waits != nil {
			waits <- a
		}
	}
}

// call sends a command and decodes its result, unless that is nil.
func (b *bidi) call(ctx context.Context, method string, params object, result any) error {
	answer := make(chan bidiAnswer, 1)
	b.mu.Lock()
	if b.broken != nil {
		b.mu.Unlock()
		return b.broken
	}
	b.last++
	id := b.last
	b.waiting[id] = answer
	b.mu.Unlock()
	if err := websocket.JSON.Send(b.conn, object{"id": id, "method": method, "params": params}); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, ctx.Err())
	case a, open := <-answer:
		if !open {
			return fmt.Errorf("%s: %w", method, b.broken)
		}
		if a.Type != "success" {
			return fmt.Errorf("%s: %s: %s", method, a.Error, a.Message)
		}
		if result == nil {
			return nil
		}
		return json.Unmarshal(a.Result, result)
	}
}

// evaluate runs an expression in a context and returns its value or what its
// promise resolves to, which must be text.
func (b *bidi) evaluate(ctx context.Context, in, expression string) (string, error) {
	var answer struct {
		Result           struct{ Type, Value string }
		ExceptionDetails struct{ Text string }
	}
	err := b.call(ctx, "script.evaluate", object{"expression": expression, "target": object{"context": in}, "awaitPromise": true}, &answer)
	if err != nil {
		return "", err
	}
	if answer.Result.Type != "string" {
		return "", errors.New("no text but " + answer.Result.Type + " " + answer.ExceptionDetails.Text)
	}
	return answer.Result.Value, nil
}

func (b *bidi) close() { b.conn.Close() }
