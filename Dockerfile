# The image holds the static binary, its licences and an empty directory for its
# state, and nothing else. `make build` makes the first and the last of them; if
# docker says that bin/lb doesn't exist, run that first. lb.yaml is mounted at /etc/lb.
# lb runs as process 1 of the container, and as nobody's user.
FROM scratch
COPY bin/lb /lb
COPY LICENSE NOTICE /
COPY --chown=65532:65532 bin/state /var/lib/lb
USER 65532:65532
# It asks whether the balancer answers, not whether a host serves: a container that is
# started again for that loses its terminals. An agent has no admin endpoint: run it with
# --no-healthcheck.
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 CMD ["/lb", "healthcheck", "-c", "/etc/lb/lb.yaml"]
ENTRYPOINT ["/lb"]
CMD ["run", "-c", "/etc/lb/lb.yaml"]
