package dbtest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of CPU times in /proc, proc(5): 1/100 s on Linux.
const clockTick = 10 * time.Millisecond

// PostgresCPU is what the PostgreSQL servers that this process started have used
// so far, with the sessions that have ended, user and system, to 10 ms a session;
// 0 where there is no /proc. It is for figures: unlike wall-clock time it hardly
// depends on what else the machine does.
func PostgresCPU() (sum time.Duration) {
	parents, names, used := map[int]int{}, map[int]string{}, map[int]time.Duration{}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		head, rest, ok := strings.Cut(string(data), ") ")
		f := strings.Fields(rest)
		number, name, _ := strings.Cut(head, " (")
		pid, err := strconv.Atoi(number)
		if !ok || err != nil || len(f) < 15 {
			continue
		}
		parents[pid], _ = strconv.Atoi(f[1])
		names[pid] = name
		for _, ticks := range f[11:15] { // own, and of children that were waited for; user and system
			n, _ := strconv.Atoi(ticks)
			used[pid] += time.Duration(n) * clockTick
		}
	}
	for pid, name := range names {
		if name != "postgres" {
			continue
		}
		for p, depth := pid, 0; p > 1 && depth < 8; p, depth = parents[p], depth+1 {
			if p == os.Getpid() {
				sum += used[pid]
				break
			}
		}
	}
	return sum
}
