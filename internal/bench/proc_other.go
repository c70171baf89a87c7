//go:build !linux

package main

import (
	"errors"
	"os"
	"os/exec"
	"time"
)

var errLinux = errors.New("the bench reads /proc and runs on Linux only")

func dieWithParent(*exec.Cmd)                           {}
func (p *process) cpu() (time.Duration, error)          { return 0, errLinux }
func (p *process) memory() (now, peak int64, err error) { return 0, 0, errLinux }
func machineCPU() (busy, all time.Duration, err error)  { return 0, 0, errLinux }
func ownCPU() time.Duration                             { return 0 }
func peakOf(*os.ProcessState) int64                     { return 0 }
func (p *process) files() (int, error)                  { return 0, errLinux }
