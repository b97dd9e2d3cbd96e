package cachehttp_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"example.com/communityfeed/internal/identity"
)

// peeks are all undeclared inputs. Each call makes its own, since bodies are read.
func peeks() []peek {
	return append(append(append(headerPeeks(), urlPeeks()...), bodyPeeks()...), aroundPeeks()...)
}

func headerPeeks() (rows []peek) {
	for _, name := range []string{
		"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cookie", "Forwarded", "If-None-Match", "Origin",
		"Range", "Referer", "User-Agent", "X-Debug", "X-FF-Feed-V2", "X-Forwarded-For", "X-Forwarded-Host",
		"X-Forwarded-Proto", "X-HTTP-Method-Override", "X-Real-Ip", "X-Request-Id",
	} {
		rows = append(rows, peek{
			name:    "header " + name,
			request: func(r *http.Request) { r.Header.Set(name, secret) },
			look:    func(c echo.Context) string { return c.Request().Header.Get(name) },
		})
	}
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	cookie := func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "session", Value: secret}) }
	return append(rows,
		peek{name: "all headers", request: header("X-Debug", secret),
			look: func(c echo.Context) string { return fmt.Sprint(c.Request().Header) }, want: "map[]"},
		peek{name: "a cookie", request: cookie,
			look: func(c echo.Context) string {
				cookie, err := c.Cookie("session")
				if err != nil {
					return ""
				}
				return cookie.Value
			}},
		peek{name: "all cookies", request: cookie, look: func(c echo.Context) string { return fmt.Sprint(c.Cookies()) }, want: "[]"},
		peek{name: "basic auth", request: func(r *http.Request) { r.SetBasicAuth(secret, "password") },
			look: func(c echo.Context) string { user, _, _ := c.Request().BasicAuth(); return user }},
		peek{name: "user agent", request: header("User-Agent", secret), look: func(c echo.Context) string { return c.Request().UserAgent() }},
		peek{name: "referer", request: header("Referer", secret), look: func(c echo.Context) string { return c.Request().Referer() }},
		peek{name: "real IP, from a header", request: header("X-Forwarded-For", "203.0.113.7"),
			look: func(c echo.Context) string { return c.RealIP() }, bare: "203.0.113.7"},
		peek{name: "scheme, from a proxy's header",
			request: func(r *http.Request) { r.RemoteAddr = "127.0.0.1:1024"; r.Header.Set("X-Forwarded-Proto", "https") },
			look:    func(c echo.Context) string { return c.Scheme() }, bare: "https", want: "http"},
		peek{name: "web socket", request: header("Upgrade", "websocket"),
			look: func(c echo.Context) string { return fmt.Sprint(c.IsWebSocket()) }, bare: "true", want: "false"},
		peek{name: "a bound header", request: header("X-Debug", secret),
			look: func(c echo.Context) string {
				var in struct {
					Debug string `header:"X-Debug"`
				}
				_ = (&echo.DefaultBinder{}).BindHeaders(c, &in)
				return in.Debug
			}},
	)
}

func urlPeeks() []peek {
	other := func(r *http.Request) {
		r.URL.RawQuery = "other=" + secret
		r.RequestURI = target + "?" + r.URL.RawQuery
	}
	row := func(name, want string, look func(echo.Context) string) peek {
		return peek{name: name, request: other, look: look, want: want}
	}
	return []peek{
		row("another query parameter", "", func(c echo.Context) string { return c.QueryParam("other") }),
		row("all query parameters", "map[limit:[20]]", func(c echo.Context) string { return fmt.Sprint(c.QueryParams()) }),
		row("query string", "limit=20", func(c echo.Context) string { return c.QueryString() }),
		row("raw query", "limit=20", func(c echo.Context) string { return c.Request().URL.RawQuery }),
		row("request URI", target+"?limit=20", func(c echo.Context) string { return c.Request().RequestURI }),
		row("URL", target+"?limit=20", func(c echo.Context) string { return c.Request().URL.String() }),
		row("form value of the query", "", func(c echo.Context) string { return c.FormValue("other") }),
		row("form parameters of the query", "map[limit:[20]]", func(c echo.Context) string {
			params, _ := c.FormParams()
			return fmt.Sprint(params)
		}),
		row("a bound query parameter", "", func(c echo.Context) string {
			var in struct {
				Other string `query:"other"`
			}
			_ = c.Bind(&in)
			return in.Other
		}),
		{name: "a second value of a declared parameter",
			request: func(r *http.Request) { r.URL.RawQuery = "limit=20&limit=" + secret },
			look:    func(c echo.Context) string { return fmt.Sprint(c.QueryParams()["limit"]) }, want: "[20]"},
		{name: "host of an absolute URL", request: func(r *http.Request) { r.URL.Host = secret },
			look: func(c echo.Context) string { return c.Request().URL.Host }},
		{name: "user of an absolute URL", request: func(r *http.Request) { r.URL.User = url.User(secret) },
			look: func(c echo.Context) string { return c.Request().URL.User.Username() }},
		{name: "fragment", request: func(r *http.Request) { r.URL.Fragment = secret },
			look: func(c echo.Context) string { return c.Request().URL.Fragment }},
		{name: "another path parameter",
			before: func(c echo.Context) {
				c.SetParamNames("id", "tenant")
				c.SetParamValues("12", secret)
			},
			look: func(c echo.Context) string { return c.Param("tenant") }},
		{name: "all path parameters",
			before: func(c echo.Context) {
				c.SetParamNames("id", "tenant")
				c.SetParamValues("12", secret)
			},
			look: func(c echo.Context) string { return fmt.Sprint(c.ParamNames(), c.ParamValues()) }, want: "[id] [12]"},
		{name: "a path value of net/http", request: func(r *http.Request) { r.SetPathValue("tenant", secret) },
			look: func(c echo.Context) string { return c.Request().PathValue("tenant") }},
		{name: "a pattern of net/http", request: func(r *http.Request) { r.Pattern = secret },
			look: func(c echo.Context) string { return c.Request().Pattern }},
	}
}

func bodyPeeks() []peek {
	body := func(contentType, text string) func(*http.Request) {
		return func(r *http.Request) {
			r.Header.Set("Content-Type", contentType)
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
		}
	}
	form := body("application/x-www-form-urlencoded", "other="+secret)
	parts := body("multipart/form-data; boundary=b",
		"--b\r\nContent-Disposition: form-data; name=\"other\"\r\n\r\n"+secret+"\r\n--b--\r\n")
	parsed := func(c echo.Context) {
		r := c.Request()
		r.Form, r.PostForm = url.Values{"other": {secret}}, url.Values{"other": {secret}}
	}
	return []peek{
		{name: "body", request: body("text/plain", secret),
			look: func(c echo.Context) string { b, _ := io.ReadAll(c.Request().Body); return string(b) }},
		{name: "length of the body", request: body("text/plain", secret),
			look: func(c echo.Context) string { return fmt.Sprint(c.Request().ContentLength) }, bare: "6", want: "0"},
		{name: "a body that middleware put there",
			before: func(c echo.Context) { c.Request().Body = io.NopCloser(strings.NewReader(secret)) },
			look:   func(c echo.Context) string { b, _ := io.ReadAll(c.Request().Body); return string(b) }},
		{name: "a form in the body", request: form,
			look: func(c echo.Context) string { b, _ := io.ReadAll(c.Request().Body); return string(b) }},
		{name: "a form in parts", request: parts, look: func(c echo.Context) string { return c.FormValue("other") }},
		{name: "a form that middleware parsed", before: parsed, look: func(c echo.Context) string { return c.Request().Form.Get("other") }},
		{name: "a posted form that middleware parsed", before: parsed,
			look: func(c echo.Context) string { return c.Request().PostForm.Get("other") }},
		{name: "a bound body", request: body("application/json", `{"other": "`+secret+`"}`),
			look: func(c echo.Context) string {
				var in struct {
					Other string `json:"other"`
				}
				_ = (&echo.DefaultBinder{}).BindBody(c, &in)
				return in.Other
			}},
		{name: "trailer", request: func(r *http.Request) { r.Trailer = http.Header{"X-Debug": {secret}} },
			look: func(c echo.Context) string { return c.Request().Trailer.Get("X-Debug") }},
		{name: "transfer encoding", request: func(r *http.Request) { r.TransferEncoding = []string{secret} },
			look: func(c echo.Context) string { return strings.Join(c.Request().TransferEncoding, " ") }},
	}
}

// aroundPeeks are about what surrounds a request: the connection, the context, the
// caller, and what a middleware has done.
func aroundPeeks() []peek {
	value := func(c echo.Context) {
		r := c.Request()
		c.SetRequest(r.WithContext(context.WithValue(r.Context(), contextKey{}, secret)))
	}
	return []peek{
		{name: "method", request: func(r *http.Request) { r.Method = http.MethodHead },
			look: func(c echo.Context) string { return c.Request().Method }, bare: "HEAD", want: "GET"},
		{name: "protocol", request: func(r *http.Request) { r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/2.0", 2, 0 },
			look: func(c echo.Context) string { return c.Request().Proto }, bare: "HTTP/2.0", want: "HTTP/1.1"},
		{name: "host", request: func(r *http.Request) { r.Host = secret },
			look: func(c echo.Context) string { return c.Request().Host }},
		{name: "remote address", request: func(r *http.Request) { r.RemoteAddr = secret },
			look: func(c echo.Context) string { return c.Request().RemoteAddr }},
		{name: "real IP, of the connection", request: func(r *http.Request) { r.RemoteAddr = "203.0.113.7:1024" },
			look: func(c echo.Context) string { return c.RealIP() }, bare: "203.0.113.7"},
		{name: "TLS", request: func(r *http.Request) { r.TLS = &tls.ConnectionState{} },
			look: func(c echo.Context) string { return c.Scheme() }, bare: "https", want: "http"},
		{name: "close", request: func(r *http.Request) { r.Close = true },
			look: func(c echo.Context) string { return fmt.Sprint(c.Request().Close) }, bare: "true", want: "false"},
		{name: "a value of the request's context", before: value,
			look: func(c echo.Context) string { s, _ := c.Request().Context().Value(contextKey{}).(string); return s }},
		{name: "deadline of the request's context",
			before: func(c echo.Context) { c.SetRequest(c.Request().WithContext(hurried{c.Request().Context()})) },
			look: func(c echo.Context) string {
				deadline, _ := c.Request().Context().Deadline()
				return secretIf(deadline.Equal(hurried{}.deadline()))
			}},
		{name: "the caller, printed",
			before: func(c echo.Context) {
				r := c.Request()
				c.SetRequest(r.WithContext(identity.With(r.Context(), identity.NewCaller(424242, "", "de", true))))
			},
			look: func(c echo.Context) string {
				who := fmt.Sprintf("%+v", identity.From(c.Request().Context()))
				return secretIf(strings.Contains(who, "424242") || strings.Contains(who, "locale:de") || strings.Contains(who, "true"))
			}},
		{name: "a value of Echo's context", before: func(c echo.Context) { c.Set("user", secret) },
			look: func(c echo.Context) string { s, _ := c.Get("user").(string); return s }},
		{name: "a logger of Echo's context", before: func(c echo.Context) { c.SetLogger(secretLogger{}) },
			look: func(c echo.Context) string {
				_, ok := c.Logger().(secretLogger)
				return secretIf(ok)
			}},
		{name: "a header of the response", before: func(c echo.Context) { c.Response().Header().Set("X-Request-Id", secret) },
			look: func(c echo.Context) string { return c.Response().Header().Get("X-Request-Id") }},
		{name: "a writer of the response", before: func(c echo.Context) { c.Response().Writer = secretWriter{c.Response().Writer} },
			look: func(c echo.Context) string {
				_, ok := c.Response().Writer.(secretWriter)
				return secretIf(ok)
			}},
	}
}

type (
	contextKey   struct{}
	secretLogger struct{ echo.Logger }
	secretWriter struct{ http.ResponseWriter }
	hurried      struct{ context.Context }
)

func (hurried) deadline() time.Time           { return time.Date(2199, 1, 1, 0, 0, 0, 0, time.UTC) }
func (h hurried) Deadline() (time.Time, bool) { return h.deadline(), true }

func secretIf(found bool) string {
	if found {
		return secret
	}
	return ""
}
