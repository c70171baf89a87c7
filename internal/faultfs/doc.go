// Package faultfs is a file system for tests that forgets what was not synced:
// a Disk keeps what a program wrote apart from what it made durable with fsync,
// and Image.Cut is the power cut between the two. Mount shows a Disk to other
// processes through FUSE, so that the real server runs on it.
//
// File data and directory entries are durable separately, as POSIX has it: a
// file whose data was synced is gone all the same when its directory was not.
// A cut keeps none, all, or a random part of what was not synced, sector by
// sector, so writes are also torn and reordered as a real disk may do.
//
// Only tests import this package.
package faultfs
