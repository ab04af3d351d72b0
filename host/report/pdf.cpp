#include <cairo-pdf.h>

#include <memory>

#include "host/core/error.hpp"
#include "host/report/pages.hpp"
#include "host/report/rendering.hpp"

namespace melgrad {
namespace {

struct DestroySurface {
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
};
struct DestroyContext {
  void operator()(cairo_t* context) const { cairo_destroy(context); }
};

cairo_status_t append(void* closure, const unsigned char* data, unsigned int length) {
  static_cast<std::string*>(closure)->append(reinterpret_cast<const char*>(data), length);
  return CAIRO_STATUS_SUCCESS;
}

void check(cairo_status_t status) {
  if (status != CAIRO_STATUS_SUCCESS) fail("the PDF cannot be made: {}", cairo_status_to_string(status));
}

void draw_footer(cairo_t* cairo, const Document& document, int page, int n_pages) {
  Drawing footer{page_width, page_height};
  const double y = page_height - 30;
  footer.text(document.program, {(page_width - wide_width) / 2, y}, tick_font, palette::dim);
  footer.text(fmt::format("{} / {}", page + 1, n_pages), {page_width - (page_width - wide_width) / 2, y},
              tick_font, palette::dim, Anchor::end);
  render(footer, cairo, {});
}

}  // namespace

std::string pdf_bytes(const Document& document, const Pages& pages) {
  std::string bytes;
  {
    const std::unique_ptr<cairo_surface_t, DestroySurface> surface(
        cairo_pdf_surface_create_for_stream(append, &bytes, page_width, page_height));
    const auto set = [&](cairo_pdf_metadata_t which, const std::string& value) {
      cairo_pdf_surface_set_metadata(surface.get(), which, value.c_str());
    };
    set(CAIRO_PDF_METADATA_TITLE, clean(document.title));
    set(CAIRO_PDF_METADATA_CREATOR, document.program);
    set(CAIRO_PDF_METADATA_CREATE_DATE, document.date);
    set(CAIRO_PDF_METADATA_MOD_DATE, document.date);
    const std::unique_ptr<cairo_t, DestroyContext> cairo(cairo_create(surface.get()));
    for (int page = 0; page < pages.n_pages; ++page) {
      for (const Placed& each : pages.placed) {
        if (each.page != page) continue;
        if (each.paragraph)
          each.paragraph->draw(cairo.get(), {each.box.x, each.box.y}, each.first_line, each.end_line,
                               each.colour);
        else
          render(*each.drawing, cairo.get(), {each.box.x, each.box.y});
      }
      draw_footer(cairo.get(), document, page, pages.n_pages);
      cairo_show_page(cairo.get());
    }
    check(cairo_status(cairo.get()));
    cairo_surface_finish(surface.get());
    check(cairo_surface_status(surface.get()));
  }
  return bytes;
}

}  // namespace melgrad
