package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
)

// bareSpec says what the bare server answers.
type bareSpec struct {
	Addr    string
	Headers map[string]string // of the answer to GET
	Bytes   []byte            // body of the answer to GET
}

// bareAnswer is what the bare server answers to POST: as long as a real answer.
const bareAnswer = `{"record_id":"018f2f6e-7c3a-7d10-9a54-0123456789ab","consent_id":"0b9f6a52-3a3d-4b1c-8d2e-0123456789ab","time":"2026-01-01T00:00:00.000Z","status":"accepted_partially","receipt":"http://127.0.0.1:8080/r/018f2f6e-7c3a-7d10-9a54-0123456789ab"}`

// bareBody is the body of POST /v1/consents as encoding/json reads it.
type bareBody struct {
	Site       string          `json:"site"`
	RecordID   string          `json:"record_id"`
	ConsentID  string          `json:"consent_id"`
	Version    string          `json:"version"`
	Action     string          `json:"action"`
	Categories map[string]bool `json:"categories"`
	Services   map[string]bool `json:"services"`
	Language   string          `json:"language"`
	Source     string          `json:"source"`
	Page       string          `json:"page"`
	GPC        bool            `json:"gpc"`
	TC         string          `json:"tc"`
	GPP        string          `json:"gpp"`
}

// serveBare is the least that a Go server can do: net/http and encoding/json.
// It ends when the bench closes its standard input.
func serveBare(s bareSpec, stdin io.Reader) error {
	mux := http.NewServeMux()
	bareEvents(mux)
	mux.HandleFunc("POST /v1/consents", func(w http.ResponseWriter, r *http.Request) {
		data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 16<<10))
		var body bareBody
		if err == nil {
			err = json.Unmarshal(data, &body)
		}
		if err != nil || body.RecordID == "" {
			http.Error(w, "not a consent", http.StatusBadRequest)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, bareAnswer)
	})
	mux.HandleFunc("GET /b/{file}", func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for name, value := range s.Headers {
			h.Set(name, value)
		}
		w.Write(s.Bytes)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok\n") })
	l, err := net.Listen("tcp", s.Addr)
	if err != nil {
		return err
	}
	go func() {
		io.Copy(io.Discard, stdin)
		os.Exit(0)
	}()
	return http.Serve(l, mux)
}
