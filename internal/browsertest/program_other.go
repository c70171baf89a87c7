//go:build !linux

package browsertest

import "os/exec"

func group(*exec.Cmd) {}

func kill(cmd *exec.Cmd) { cmd.Process.Kill() }
