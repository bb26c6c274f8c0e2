# The image holds the static binary, its licences and an empty directory for its
# state, and nothing else. `make build` makes the first and the last of them; if
# docker says that bin/lb doesn't exist, run that first.
FROM scratch
COPY bin/lb /lb
COPY LICENSE NOTICE /
COPY --chown=65532:65532 bin/state /var/lib/lb
USER 65532:65532
ENTRYPOINT ["/lb"]
CMD ["--help"]
