#include "shadow.hpp"

namespace melgrad::emulation {

void Shadow::refine(Page& page, std::size_t granule) {
  auto cells = std::make_unique<Cell[]>(page_size / granule);
  if (page.cells)
    for (std::size_t at = 0; at < page_size; at += granule)
      cells[at / granule] = page.cells[at / page.granule];
  page = {granule, std::move(cells)};
}

}  // namespace melgrad::emulation
