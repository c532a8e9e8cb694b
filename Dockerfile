# Compiled where npm and its development dependencies are, run where they are not.
FROM node:26-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY src ./src
RUN npm run build && npm prune --omit=dev --omit=optional

FROM node:26-bookworm-slim
LABEL org.opencontainers.image.title="gueststore" \
      org.opencontainers.image.description="GuestStore operator and daemon" \
      org.opencontainers.image.licenses="Apache-2.0"
WORKDIR /app
COPY --from=build /build/package.json ./package.json
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
ENV NODE_ENV=production
USER 65532:65532
ENTRYPOINT ["node", "/app/dist/main.js"]
