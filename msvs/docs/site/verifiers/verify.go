package webhooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const tolerance = 5 * time.Minute

var digits = regexp.MustCompile(`^[0-9]{1,15}$`)

// Verify says whether MSVS-Signature signs the body by this secret, in the last five minutes.
func Verify(rawBody []byte, header, secret string, now time.Time) bool {
	var timestamps, signatures []string
	for _, part := range strings.Split(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			timestamps = append(timestamps, value)
		case "v1":
			signatures = append(signatures, value)
		}
	}
	if len(timestamps) != 1 || !digits.MatchString(timestamps[0]) {
		return false
	}
	seconds, err := strconv.ParseInt(timestamps[0], 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamps[0] + "."))
	mac.Write(rawBody)
	expected := []byte(hex.EncodeToString(mac.Sum(nil)))
	// There are two during a rotation; each is compared in constant time.
	matches := false
	for _, signature := range signatures {
		matches = hmac.Equal(expected, []byte(signature)) || matches
	}
	return matches
}
