# The image holds nothing but the static binary: make image puts it, and an empty
# directory for the balancer's state, into bin/image, which is the whole context.
FROM scratch
COPY lb /lb
COPY --chown=65532:65532 state /var/lib/lb
USER 65532:65532
ENTRYPOINT ["/lb"]
CMD ["--help"]
