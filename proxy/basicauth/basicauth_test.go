package basicauth

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// hashed is the hash of the password "correct horse", with the least cost.
const hashed = "$2y$04$JAElNUh17MJ5aq5n37VbW.DHUmgxtOWuZiGGquAs7UWvvdolHzxG6"

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "htpasswd")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, text string) *Users {
	t.Helper()
	u, err := Open(&Config{File: file(t, text)})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func basic(name, password string) []byte {
	return []byte("Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password)))
}

func TestFilesOfUsers(t *testing.T) {
	users, err := ReadFile(file(t, "# admins\n\neva:"+hashed+"\nbob:"+strings.Replace(hashed, "2y", "2b", 1)+"\n"))
	if err != nil || len(users) != 2 || string(users["eva"]) != hashed {
		t.Errorf("got %d users, %v", len(users), err)
	}
	for text, want := range map[string]string{
		"eva:" + hashed + "\nbob:$apr1$abcdefgh$0123456789012345678901": "line 2: the password isn't hashed by bcrypt",
		"eva:{SHA}0DPiKuNIrrVmD8IUCuw1hQxNqZc=":                         "line 1: the password isn't hashed by bcrypt",
		"eva:plain text":                                                "line 1: the password isn't hashed by bcrypt",
		"eva":                                                           "line 1: the password isn't hashed by bcrypt",
		"eva:" + hashed + ":more":                                       "line 1: the password isn't hashed by bcrypt",
		"\n:" + hashed:                                                  "line 2: the name of the user is missing",
		"a:" + hashed + "\na:" + hashed:                                 "line 2: the user is here twice",
		"eva:" + strings.Replace(hashed, "$04$", "$15$", 1):             "line 1: the password's hash has cost 15, at most 14 is possible",
	} {
		_, err := ReadFile(file(t, text))
		if err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
	if _, err := Open(&Config{File: "/nonexistent/htpasswd"}); err == nil {
		t.Error("a file that is missing isn't an error")
	}
	if u, err := Open(nil); u != nil || err != nil {
		t.Errorf("without a configuration: got %v, %v", u, err)
	}
}

func TestWhoIsRight(t *testing.T) {
	u, now := open(t, "eva:"+hashed+"\n"), time.Now()
	for _, row := range []struct {
		what  string
		value []byte
		want  Verdict
	}{
		{"nothing", nil, Wrong},
		{"the right pair", basic("eva", "correct horse"), Right},
		{"again", basic("eva", "correct horse"), Right},
		{"another case of the scheme", append([]byte("bASIC "), basic("eva", "correct horse")[6:]...), Right},
		{"another password", basic("eva", "wrong horse"), Wrong},
		{"another user", basic("bob", "correct horse"), Wrong},
		{"no password", basic("eva", ""), Wrong},
		{"no colon", []byte("Basic " + base64.StdEncoding.EncodeToString([]byte("eva"))), Wrong},
		{"no base64", []byte("Basic eva:correct horse"), Wrong},
		{"another scheme", []byte("Bearer " + base64.StdEncoding.EncodeToString([]byte("eva:correct horse"))), Wrong},
	} {
		if got := u.Check(row.value, now); got != row.want {
			t.Errorf("%s: got %d, want %d", row.what, got, row.want)
		}
	}
	if got := open(t, "").Check(basic("eva", "correct horse"), now); got != Wrong {
		t.Errorf("without users: got %d", got)
	}
}

// TestAPairThatWasRightNeedsNoPlace for some minutes: it is right though all places are taken. Others wait,
// and are told that lb is busy.
func TestAPairThatWasRightNeedsNoPlace(t *testing.T) {
	u := open(t, "eva:"+hashed+"\n")
	synctest.Test(t, func(t *testing.T) {
		old := hashing
		defer func() { hashing = old }()
		hashing = make(chan struct{}, 1)
		right := basic("eva", "correct horse")
		if got := u.Check(right, time.Now()); got != Right {
			t.Fatalf("got %d", got)
		}
		hashing <- struct{}{}
		if got := u.Check(right, time.Now().Add(goodFor-time.Second)); got != Right {
			t.Errorf("soon after: got %d", got)
		}
		if got := u.Check(basic("eva", "wrong"), time.Now()); got != Busy {
			t.Errorf("a wrong one: got %d, want %d", got, Busy)
		}
		began := time.Now()
		if got := u.Check(right, began.Add(goodFor)); got != Busy || time.Since(began) != patience {
			t.Errorf("long after: got %d after %v", got, time.Since(began))
		}
		<-hashing
		if got := u.Check(right, time.Now().Add(goodFor)); got != Right {
			t.Errorf("with a free place: got %d", got)
		}
	})
}

func TestWhatIsRememberedIsBoundedAndForgottenWithTheFile(t *testing.T) {
	u, now := open(t, "eva:"+hashed+"\n"), time.Now()
	l := u.now.Load()
	for i := range 2 * mostGood {
		l.remember(u.digest("eva", fmt.Append(nil, i)), now)
	}
	if len(l.good) != mostGood || !l.knows(u.digest("eva", fmt.Append(nil, 2*mostGood-1)), now) {
		t.Errorf("%d pairs are remembered", len(l.good))
	}
	right := basic("eva", "correct horse")
	if got := u.Check(right, now); got != Right {
		t.Errorf("got %d", got)
	}
	u.use(map[string][]byte{"bob": []byte(hashed)})
	if got := u.Check(right, now); got != Wrong {
		t.Errorf("when the user is gone: got %d", got)
	}
}

func TestTheChallengeNamesTheRealm(t *testing.T) {
	for realm, want := range map[string]string{
		"":           `Basic realm="restricted", charset="UTF-8"`,
		"the admins": `Basic realm="the admins", charset="UTF-8"`,
	} {
		u, err := Open(&Config{File: file(t, "eva:"+hashed+"\n"), Realm: realm})
		if err != nil || u.Challenge() != want {
			t.Errorf("%q: got %q, %v", realm, u.Challenge(), err)
		}
	}
}
