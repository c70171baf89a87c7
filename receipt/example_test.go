package receipt_test

import (
	"errors"
	"fmt"
	"os"

	"assent/receipt"
)

// A receipt is checked with nothing but the file. Name the key that you trust
// as the second argument; without one, decide yourself whether to trust Key.
func ExampleVerify() {
	data, err := os.ReadFile("testdata/receipt.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	result, err := receipt.Verify(data, "")
	if errors.Is(err, receipt.ErrUnreadable) {
		fmt.Println("unreadable:", err)
		return
	}
	if err != nil || !result.Valid {
		fmt.Println("not valid:", result.Failure())
		return
	}
	fmt.Println("valid, against the key of", result.Origin)
	fmt.Println(result.Record.Time, result.Record.Status)

	data[len(data)/2] ^= 1
	result, err = receipt.Verify(data, "")
	fmt.Println("after changing one byte:", err == nil && result.Valid)
	// Output:
	// valid, against the key of consent.shop.example/log/k7m2p9
	// 2026-11-21T20:11:33.042Z accepted_partially
	// after changing one byte: false
}
