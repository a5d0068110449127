package render

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"codeberg.org/go-pdf/fpdf"

	"audittrail/report/document"
)

// carriedName is the name of the signed report in a PDF.
const carriedName = "report.json"

// Errors of a file that should contain a report.
var (
	// ErrNoReport says that a file carries no signed report, or not in the form
	// in which this program writes it.
	ErrNoReport = errors.New("no signed report is in it")
	// ErrRenderingDiffers says that a file does not show the report that it carries.
	ErrRenderingDiffers = errors.New("it does not show the report that it carries")
)

// carriedPDF is the signed report as a PDF's attachment. A report that nobody
// signed is attached to none.
func carriedPDF(f *document.File) []fpdf.Attachment {
	if len(f.Signature) == 0 {
		return nil
	}
	return []fpdf.Attachment{{Content: f.Bytes(), Filename: carriedName, Description: "The signed report, of which this document is a rendering"}}
}

// base64Line is the length of a line of a report in HTML.
const base64Line = 100

// carriedHTML is the signed report as a page has it.
func carriedHTML(f *document.File) string {
	if len(f.Signature) == 0 {
		return ""
	}
	text := base64.StdEncoding.EncodeToString(f.Bytes())
	var b strings.Builder
	for at := 0; at < len(text); at += base64Line {
		b.WriteString(text[at:min(at+base64Line, len(text))])
		b.WriteByte('\n')
	}
	return b.String()
}

// The places of signed reports in files.
var (
	inPDF  = regexp.MustCompile(`<< /Type /EmbeddedFile /Length [0-9]+ /Filter /FlateDecode /Params << /CheckSum <[0-9a-f]{32}> /Size [0-9]+ >> >>\n\nstream\n`)
	inHTML = regexp.MustCompile(`<pre id="report-json">([A-Za-z0-9+/=\n]*)</pre>`)
)

// A Renderer is a form that carries the signed report.
type Renderer func(w io.Writer, f *document.File) error

// ExtractReport returns the signed report that a PDF or a page carries, and the form
// that it is, by which CheckRendering tells whether it shows that report. Of any other
// file it returns nil.
func ExtractReport(in []byte) (report []byte, form Renderer, err error) {
	switch {
	case bytes.HasPrefix(in, []byte("%PDF-")):
		report, err = outOfPDF(in)
		return report, PDF, err
	case bytes.HasPrefix(in, []byte("<!DOCTYPE html>")):
		report, err = outOfHTML(in)
		return report, HTML, err
	}
	return nil, nil, nil
}

func outOfPDF(in []byte) ([]byte, error) {
	places := inPDF.FindAllIndex(in, 2)
	if len(places) != 1 {
		return nil, ErrNoReport
	}
	z, err := zlib.NewReader(bytes.NewReader(in[places[0][1]:]))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoReport, err)
	}
	report, err := io.ReadAll(io.LimitReader(z, document.MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoReport, err)
	}
	return report, nil
}

func outOfHTML(in []byte) ([]byte, error) {
	places := inHTML.FindAllSubmatch(in, 2)
	if len(places) != 1 {
		return nil, ErrNoReport
	}
	report, err := base64.StdEncoding.DecodeString(string(places[0][1])) // which skips line feeds
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoReport, err)
	}
	return report, nil
}

// CheckRendering tells whether a file is the report in that form, byte for byte, as this
// version of the program writes it.
func CheckRendering(in []byte, form Renderer, f *document.File) error {
	var b bytes.Buffer
	if err := form(&b, f); err != nil {
		return err
	}
	if !bytes.Equal(b.Bytes(), in) {
		return ErrRenderingDiffers
	}
	return nil
}
