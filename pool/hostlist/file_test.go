package hostlist

import "testing"

// FuzzFile checks that a file with what is understood of it means the same again.
func FuzzFile(f *testing.F) {
	f.Add([]byte(`{"version":1,"hosts":[{"name":"b","id":2,"address":"b:80","weight":2,"zone":"z","listed_by":{"by":"eva","reason":"r","since":"2026-01-02T03:04:05Z"},"x":1},"y"],"z":0}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		hosts, u, err := Parse(b)
		if err != nil {
			return
		}
		again, err := Encode(hosts, u)
		if err != nil {
			t.Fatal(err)
		}
		same, _, err := Parse(again)
		if err != nil || len(same) != len(hosts) {
			t.Fatalf("got %+v, %v; want %+v", same, err, hosts)
		}
		for i, h := range hosts {
			if same[i].Spec != h.Spec || !same[i].By.Since.Equal(h.By.Since) || same[i].By.By != h.By.By || same[i].By.Reason != h.By.Reason {
				t.Errorf("got %+v, want %+v", same[i], h)
			}
		}
	})
}
