package report

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/go-analyze/charts"
)

// A Panel is one small chart: one bar for each label, or, if it has lines, a point of
// each line for each label.
type Panel struct {
	Title  string // what is measured, and its unit
	Labels []string
	Values []float64
	Lines  []Line
}

// A Line is how one thing went on.
type Line struct {
	Name   string
	Values []float64
}

// A Chart is some panels under one title, two beside each other. What they do not
// share, an axis, they do not pretend to share.
type Chart struct {
	Title   string
	Caption []string // lines: the machine, the command
	Panels  []Panel
}

// Sizes are in pixels.
const (
	panelWidth   = 460
	panelHeight  = 250
	titleHeight  = 44
	captionLine  = 18
	chartPadding = 16
)

// SVG draws the chart on white, for pages of any colour.
func (c Chart) SVG() ([]byte, error) {
	rows := (len(c.Panels) + 1) / 2
	width := 2*panelWidth + 2*chartPadding
	height := titleHeight + rows*panelHeight + len(c.Caption)*captionLine + chartPadding
	p := charts.NewPainter(charts.PainterOptions{OutputFormat: charts.ChartOutputSVG, Width: width, Height: height})
	p.FilledRect(0, 0, width, height, charts.ColorWhite, charts.ColorWhite, 0)

	style := charts.FontStyle{FontSize: 15, FontColor: charts.ColorBlack, Font: charts.GetDefaultFont()}
	p.Text(c.Title, 2*chartPadding, 30, 0, style)
	for i, panel := range c.Panels {
		left, top := chartPadding+i%2*panelWidth, titleHeight+i/2*panelHeight
		box := charts.NewBox(left, top, left+panelWidth, top+panelHeight)
		child := p.Child(charts.PainterBoxOption(box))
		var err error
		if panel.Lines != nil {
			err = child.LineChart(panel.lines())
		} else {
			err = child.BarChart(panel.bars())
		}
		if err != nil {
			return nil, fmt.Errorf("drawing %q: %w", panel.Title, err)
		}
	}
	style.FontSize, style.FontColor = 9, charts.ColorGray
	for i, line := range c.Caption {
		p.Text(line, 2*chartPadding, titleHeight+rows*panelHeight+(i+1)*captionLine, 0, style)
	}
	return p.Bytes()
}

// bars begin at zero, and each has its value above it: the axis is for the eye only.
func (panel Panel) bars() charts.BarChartOption {
	o := charts.NewBarChartOptionWithData([][]float64{panel.Values})
	o.Padding = charts.NewBoxEqual(chartPadding)
	o.Title.Text = panel.Title
	o.Title.FontStyle.FontSize = 11
	o.CategoryAxis.Labels = panel.Labels
	o.CategoryAxis.LabelCount = len(panel.Labels) // all of them
	o.CategoryAxis.BoundaryGap = charts.Ptr(true)
	o.CategoryAxis.LabelFontStyle.FontSize = 9
	o.ValueAxis[0].Min = charts.Ptr(0.0)
	o.ValueAxis[0].LabelCount = 5
	o.ValueAxis[0].LabelFontStyle.FontSize = 9
	o.ValueFormatter = onAxis
	o.BarSize = 0.55
	o.SeriesList[0].Label = charts.SeriesLabel{Show: charts.Ptr(true), ValueFormatter: Number}
	return o
}

// lines begin at zero, too: what is flat looks flat.
func (panel Panel) lines() charts.LineChartOption {
	values, names := make([][]float64, len(panel.Lines)), make([]string, len(panel.Lines))
	for i, line := range panel.Lines {
		values[i], names[i] = line.Values, line.Name
	}
	o := charts.NewLineChartOptionWithData(values)
	o.Padding = charts.NewBoxEqual(chartPadding)
	o.Title.Text = panel.Title
	o.Title.FontStyle.FontSize = 11
	o.Legend.SeriesNames = names
	o.Legend.Offset = charts.OffsetRight
	o.Legend.FontStyle.FontSize = 9
	o.XAxis.Labels = panel.Labels
	o.XAxis.LabelCount = min(len(panel.Labels), 7)
	o.XAxis.LabelFontStyle.FontSize = 9
	o.YAxis[0].Min = charts.Ptr(0.0)
	o.YAxis[0].LabelCount = 5
	o.YAxis[0].LabelFontStyle.FontSize = 9
	o.ValueFormatter = onAxis
	o.LineStrokeWidth = 1.5
	o.Symbol.Shape = charts.SymbolNone
	return o
}

// onAxis prints a value of the axis, which is round.
func onAxis(v float64) string {
	if v >= 1000 {
		return thousands(v)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// Write draws the chart into a file, and makes the folders on the way to it.
func (c Chart) Write(path string) error {
	drawn, err := c.SVG()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, append(drawn, '\n'), 0o644)
}
