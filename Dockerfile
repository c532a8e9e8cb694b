# What the program needs, then the program: each in a layer of its own, the second small. `npm run image` builds and labels it.
ARG NODE_IMAGE=node:26-bookworm-slim

FROM ${NODE_IMAGE} AS modules
# npm names the list after the folder.
WORKDIR /modules/gueststore
COPY package.json package-lock.json .npmrc ./
# With a list of what is in it (CycloneDX), and without types, maps and pages, which are for people who develop.
RUN npm ci --omit=dev --omit=optional --no-audit --no-fund \
 && npm pkg delete devDependencies optionalDependencies \
 && npm sbom --sbom-format=cyclonedx --sbom-type=application > sbom.cdx.json \
 && find node_modules -type f \( -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.map' -o -name '*.md' \) -exec rm {} + \
 && rm -rf node_modules/.bin node_modules/.package-lock.json node_modules/*/prebuilds package-lock.json .npmrc

FROM ${NODE_IMAGE} AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY src ./src
# In one step: what compiles it is large, and no layer has to keep it.
RUN npm ci --no-audit --no-fund && npm run build && rm -rf node_modules

FROM ${NODE_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="gueststore" \
      org.opencontainers.image.description="GuestStore operator and daemon" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV NODE_ENV=production
COPY --from=modules /modules/gueststore /app
COPY LICENSE /app/LICENSE
COPY --from=build /build/dist /app/dist
USER 65532:65532
# No shell between the engine and the program: it gets SIGTERM itself, and handles it.
ENTRYPOINT ["node", "/app/dist/main.js"]
CMD ["--help"]
