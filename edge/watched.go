package edge

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/rs/zerolog"

	"tokenring/filewatch"
)

// The settings whose files this package watches.
const (
	tokenFile       = "admin.token_file"
	readTokenFile   = "admin.read_token_file"
	affinitySecrets = "affinity.cookie.secret_file"
)

// watchToken puts each new admin token in force, until ctx ends.
func (e *Edge) watchToken(ctx context.Context) error {
	followToken(ctx, e.opt.Logger, tokenFile, e.token, e.admin.SetToken)
	return nil
}

// watchReadToken is watchToken for the readers' token.
func (e *Edge) watchReadToken(ctx context.Context) error {
	followToken(ctx, e.opt.Logger, readTokenFile, e.readToken, e.admin.SetReadToken)
	return nil
}

// followToken puts each new token in the file of a setting in force, until ctx ends.
func followToken(ctx context.Context, log zerolog.Logger, setting string, watch *filewatch.Watch[string], use func(string) error) {
	watch.Follow(ctx, func(c filewatch.Change[string]) {
		if c.Err == nil {
			c.Err = use(c.Value)
		}
		logFileChange(log, setting, c.Err)
	})
}

// watchAffinity puts new secrets of affinity cookies in force, until ctx ends.
func (e *Edge) watchAffinity(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	for pool, watch := range e.affinity {
		all.Go(func() {
			watch.Follow(ctx, func(c filewatch.Change[[][]byte]) {
				if c.Err == nil {
					e.proxy.SetAffinitySecrets(pool, c.Value)
				}
				e.logChange(affinitySetting(pool), c.Err)
			})
		})
	}
	return nil
}

// affinitySetting returns the setting with the secrets of a pool's cookies; "" is the main pool.
func affinitySetting(pool string) string {
	if pool == "" {
		return affinitySecrets
	}
	return "pools." + pool + "." + affinitySecrets
}

// logChange logs that the file of a setting was read again. The error never shows what is
// in the file.
func (e *Edge) logChange(setting string, err error) { logFileChange(e.opt.Logger, setting, err) }

func logFileChange(log zerolog.Logger, setting string, err error) {
	if err != nil {
		log.Error().Err(err).Str("setting", setting).Msg("a changed file can't be used: what it held before stays in force")
		return
	}
	log.Info().Str("setting", setting).Msg("a changed file has been read")
}

// watchedFiles returns, by setting, the files that are read again when they change: why what
// they hold isn't in use, "" if it is.
func (e *Edge) watchedFiles() map[string]string {
	files := e.pool.WatchedFiles()
	for _, p := range e.parts {
		for setting, problem := range p.pool.WatchedFiles() {
			if setting == "pool.hosts_file" {
				files["pools."+p.name+".hosts_file"] = problem
			}
		}
	}
	maps.Copy(files, e.ownFiles())
	return files
}

// ownFiles is watchedFiles without the files that the parts watch.
func (e *Edge) ownFiles() map[string]string {
	files := map[string]string{tokenFile: e.token.Problem()}
	if e.readToken.Watches() {
		files[readTokenFile] = e.readToken.Problem()
	}
	for pool, watch := range e.affinity {
		if watch.Watches() {
			files[affinitySetting(pool)] = watch.Problem()
		}
	}
	for setting, rules := range e.access {
		if rules.Watches() {
			files[setting] = rules.Problem()
		}
	}
	for setting, users := range e.users {
		files[setting] = users.Problem()
	}
	for setting, f := range e.hostFiles {
		if f.watch.Watches() {
			files[setting] = f.watch.Problem()
		}
	}
	return files
}

// problems returns what is in maintenance, and what is wrong in this package's files and with
// sessions, a sentence each.
func (e *Edge) problems() []string {
	alarms := slices.Concat(e.maintenance.Alarms(), e.fileProblems(), e.unverified())
	if split := e.proxy.Region().SplitAlarm(); split != "" {
		alarms = append(alarms, split)
	}
	alarms = append(alarms, e.strays()...)
	if alarm := e.clockProblem(); alarm != "" {
		alarms = append(alarms, alarm)
	}
	return append(alarms, e.streamProblems()...)
}

// unverified returns an alarm for each pool whose hosts prove nothing by TLS.
func (e *Edge) unverified() (alarms []string) {
	for _, setting := range slices.Sorted(maps.Keys(e.hostFiles)) {
		if !e.hostFiles[setting].client.Verifies() {
			alarms = append(alarms, setting+".verify is false: whoever can redirect connections in the network can stand for a host, and gets users' tokens")
		}
	}
	return alarms
}

// fileProblems returns an alarm for each of this package's files that can't be used.
func (e *Edge) fileProblems() (alarms []string) {
	files := e.ownFiles()
	for _, setting := range slices.Sorted(maps.Keys(files)) {
		if problem := files[setting]; problem != "" {
			alarms = append(alarms, fmt.Sprintf("the changed file of %s isn't used, and what it held before stays in force: %s", setting, problem))
		}
	}
	return alarms
}
