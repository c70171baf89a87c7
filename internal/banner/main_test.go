package banner

import (
	"os"
	"testing"

	"assent/internal/browsertest"
)

func TestMain(m *testing.M) { os.Exit(browsertest.Main(m)) }
