# An alternative to "make images", for a container engine:
# docker build --target controller . ; docker build --target action .
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY api api
COPY translate translate
COPY controllers controllers
COPY cmd cmd
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /out/ ./cmd/manager ./cmd/action

FROM scratch AS action
COPY --from=build /out/action /action
USER 65532
ENTRYPOINT ["/action"]

FROM scratch AS controller
COPY --from=build /out/manager /manager
USER 65532
ENTRYPOINT ["/manager"]
