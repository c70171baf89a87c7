package main

import (
	"bytes"
	"io"
	"net/http"
)

// ordinaryClient is a connection of Go's own http.Client. It costs about as much
// for each request as the server it loads, as common load generators do, and
// takes that from the server's cores.
type ordinaryClient struct{ http.Client }

func (c *ordinaryClient) exchange(addr string, r *request, s requestSpec) (code int, body []byte, err error) {
	if c.Transport == nil {
		c.Transport = &http.Transport{MaxIdleConnsPerHost: 1, DisableCompression: true}
	}
	_, sent, _ := bytes.Cut(r.bytes, []byte("\r\n\r\n"))
	req, err := http.NewRequest(s.Method, "http://"+addr+s.Path, bytes.NewReader(sent))
	if err != nil {
		return 0, nil, err
	}
	for _, h := range s.Headers {
		req.Header.Set(h[0], h[1])
	}
	answer, err := c.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	return answer.StatusCode, body, err
}
