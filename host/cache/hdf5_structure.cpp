#include "host/cache/hdf5_structure.hpp"

#include <algorithm>
#include <bit>
#include <optional>
#include <set>
#include <tuple>

namespace melgrad::hdf5 {
namespace {

constexpr std::uint64_t kUndefined = ~std::uint64_t{0};
constexpr std::uint64_t kMaxDeflateRatio = 1032;  // zlib cannot do better
constexpr std::size_t kChecksumBytes = 4;

// Messages of object headers.
enum : unsigned {
  kDataspace = 0x01,
  kLinkInfo = 0x02,
  kDatatype = 0x03,
  kLink = 0x06,
  kExternalFiles = 0x07,
  kLayout = 0x08,
  kFilters = 0x0b,
  kAttribute = 0x0c,
  kContinuation = 0x10
};

std::uint64_t little_endian(Bytes bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(bytes[i]);
  return value;
}

std::string text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool is_equal(Bytes bytes, std::initializer_list<unsigned> expected) {
  return std::ranges::equal(bytes, expected, {},
                            [](std::byte each) { return std::to_integer<unsigned>(each); });
}

}  // namespace

// Reads one thing after another; beyond the end is damage.
class Structure::Cursor {
 public:
  Cursor(Bytes bytes, const Structure& structure, std::string_view what)
      : rest_(bytes), structure_(&structure), what_(what) {}

  Bytes take(std::uint64_t n_bytes) {
    if (n_bytes > rest_.size()) structure_->damaged("{} ends early", what_);
    const Bytes taken = rest_.first(n_bytes);
    rest_ = rest_.subspan(n_bytes);
    return taken;
  }
  std::uint64_t number(std::size_t n_bytes) { return little_endian(take(n_bytes)); }
  Bytes rest() const { return rest_; }

 private:
  Bytes rest_;
  const Structure* structure_;
  std::string what_;
};

Structure::Structure(Bytes file, std::string name) : file_(file), name_(std::move(name)) {
  constexpr std::string_view what = "the superblock";
  constexpr std::uint64_t n_signature_bytes = 8;
  const std::uint64_t version = little_endian(at(n_signature_bytes, 1, what));
  if (version != 3) damaged("its superblock has version {}; files of this program have 3", version);
  Cursor superblock(sealed(0, 44, what), *this, what);
  superblock.take(n_signature_bytes + 1);
  if (superblock.number(2) != 0x0808) damaged("its addresses do not have 8 bytes");
  superblock.number(1);  // who has it open
  const std::uint64_t base = superblock.number(8), extension = superblock.number(8);
  if (base != 0 || extension != kUndefined) damaged("its superblock is not one of this program's files");
  const std::uint64_t end = superblock.number(8);
  if (end != file.size()) damaged("it has {} bytes instead of {}", file.size(), end);
  root_ = messages(superblock.number(8));
}

Bytes Structure::at(std::uint64_t address, std::uint64_t n_bytes, std::string_view what) const {
  if (address > file_.size() || n_bytes > file_.size() - address)
    damaged("{} of {} bytes at {} lies beyond the end of {} bytes", what, n_bytes, address, file_.size());
  return file_.subspan(address, n_bytes);
}

// The n_bytes before a checksum, which is right.
Bytes Structure::sealed(std::uint64_t address, std::uint64_t n_bytes, std::string_view what) const {
  const Bytes bytes = at(address, n_bytes, what);
  if (lookup3(bytes) != little_endian(at(address + n_bytes, kChecksumBytes, what)))
    damaged("{} at {} does not match its checksum", what, address);
  return bytes;
}

std::vector<Structure::Message> Structure::messages(std::uint64_t address) const {
  Cursor prefix(at(address, 6, "an object's header"), *this, "an object's header");
  if (text_of(prefix.take(4)) != "OHDR" || prefix.number(1) != 2)
    damaged("there is no object's header at {}", address);
  const std::uint64_t flags = prefix.number(1);
  if (flags & ~std::uint64_t{0x03}) damaged("the object's header at {} has the flags {:#x}", address, flags);
  const std::uint64_t size_bytes = std::uint64_t{1} << flags;
  const std::uint64_t n_message_bytes = little_endian(at(address + 6, size_bytes, "an object's header"));
  if (n_message_bytes > file_.size())
    damaged("the object's header at {} has {} bytes", address, n_message_bytes);
  Cursor block(sealed(address, 6 + size_bytes + n_message_bytes, "an object's header"), *this,
               "an object's header");
  block.take(6 + size_bytes);

  std::vector<Message> found;
  std::set<std::uint64_t> blocks;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> continued;
  const auto read_block = [&](Cursor messages) {
    while (messages.rest().size() >= 4) {  // less is a gap
      const auto type = static_cast<unsigned>(messages.number(1));
      const std::uint64_t n_bytes = messages.number(2), message_flags = messages.number(1);
      const Bytes data = messages.take(n_bytes);
      if (type == kContinuation) {
        Cursor continuation(data, *this, "a continuation");
        const std::uint64_t where = continuation.number(8);
        continued.emplace_back(where, continuation.number(8));
      } else if (message_flags & 2) {
        damaged("an object at {} shares a message", address);
      } else {
        found.push_back({type, data});
      }
    }
  };
  read_block(block);
  while (!continued.empty()) {
    const auto [where, n_bytes] = continued.back();
    continued.pop_back();
    if (!blocks.insert(where).second || n_bytes < 4 + kChecksumBytes)
      damaged("the object's header at {} is continued by {} bytes at {}", address, n_bytes, where);
    Cursor more(sealed(where, n_bytes - kChecksumBytes, "an object's header"), *this, "an object's header");
    if (text_of(more.take(4)) != "OCHK") damaged("no object's header is continued at {}", where);
    read_block(more);
  }
  return found;
}

std::optional<std::uint64_t> Structure::member(const std::vector<Message>& group, const std::string& member,
                                               const std::string& path) const {
  for (const Message& message : group) {
    if (message.type == kLinkInfo) {
      Cursor info(message.data, *this, "a group");
      info.number(1);
      if (info.number(1) & 1) info.number(8);
      if (info.number(8) != kUndefined) damaged("its groups are not stored as this program stores them");
    }
    if (message.type != kLink) continue;
    Cursor link(message.data, *this, "a link");
    if (link.number(1) != 1) damaged("a link has an unknown version");
    const std::uint64_t flags = link.number(1);
    const std::uint64_t type = flags & 8 ? link.number(1) : 0;
    if (flags & 4) link.number(8);
    if (flags & 16) link.number(1);
    const std::uint64_t n_name_bytes = link.number(std::size_t{1} << (flags & 3));
    if (text_of(link.take(n_name_bytes)) != member) continue;
    if (type != 0) damaged("{} is a link to elsewhere, which is not followed", path);
    return link.number(8);
  }
  return std::nullopt;
}

bool Structure::has(const std::string& name) const {
  return member(root_, name, name).has_value();
}

std::uint64_t Structure::find(const std::string& path) const {
  std::vector<Message> deeper;
  for (std::size_t begin = 0;;) {
    const std::size_t slash = path.find('/', begin);
    const auto address =
        member(begin == 0 ? root_ : deeper, path.substr(begin, slash - begin), path.substr(0, slash));
    if (!address) damaged("cannot read {}: it is not there", path);
    if (slash == path.npos) return *address;
    deeper = messages(*address);
    begin = slash + 1;
  }
}

std::pair<ElementType, std::size_t> Structure::read_type(Cursor type) const {
  // The version, which simple types do not depend on, is in the first byte's upper half.
  const std::uint64_t kind = type.number(1) & 15;
  const Bytes bits = type.take(3);
  const std::uint64_t n_bytes = type.number(4);
  const Bytes rest = type.rest();
  if (n_bytes == 0 || n_bytes > file_.size()) damaged("a type has {} bytes", n_bytes);
  ElementType element = ElementType::other;
  if (kind == 0 && n_bytes == 8 &&
      is_equal(rest.first(std::min<std::size_t>(4, rest.size())), {0, 0, 64, 0})) {
    if (is_equal(bits, {0, 0, 0})) element = ElementType::uint64;
    if (is_equal(bits, {8, 0, 0})) element = ElementType::int64;
  }
  // IEEE 754, little-endian: the places and sizes of exponent and mantissa, the exponent's bias.
  const Bytes places = rest.first(std::min<std::size_t>(12, rest.size()));
  if (kind == 1 && n_bytes == 4 && is_equal(bits, {0x20, 31, 0}) &&
      is_equal(places, {0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0}))
    element = ElementType::float32;
  if (kind == 1 && n_bytes == 8 && is_equal(bits, {0x20, 63, 0}) &&
      is_equal(places, {0, 0, 64, 0, 52, 11, 0, 52, 255, 3, 0, 0}))
    element = ElementType::float64;
  if (kind == 3) element = ElementType::text;
  return {element, n_bytes};
}

std::vector<std::uint64_t> Structure::read_shape(Cursor space) const {
  if (space.number(1) != 2) damaged("a shape has an unknown version");
  const std::uint64_t rank = space.number(1);
  space.number(1);  // whether it may grow
  constexpr std::uint64_t none = 2;
  if (space.number(1) == none) damaged("a shape without values");
  std::vector<std::uint64_t> shape;
  for (std::uint64_t axis = 0; axis < rank; ++axis) {
    constexpr std::uint64_t most = std::uint64_t{1} << 48;
    if (shape.emplace_back(space.number(8)) > most) damaged("a shape has the extent {}", shape.back());
  }
  return shape;
}

const Structure::Message* Structure::find_attribute(const std::string& attribute) const {
  for (const Message& message : root_) {
    if (message.type != kAttribute) continue;
    Cursor header(message.data, *this, "an attribute");
    header.number(2);
    const std::uint64_t n_name_bytes = header.number(2);
    header.number(5);  // sizes of type and shape, characters
    if (text_of(header.take(n_name_bytes)) == attribute + '\0') return &message;
  }
  return nullptr;
}

bool Structure::has_attribute(const std::string& attribute) const {
  return find_attribute(attribute) != nullptr;
}

Attribute Structure::attribute(const std::string& attribute) const {
  const Message* message = find_attribute(attribute);
  if (message == nullptr) damaged("cannot read the attribute {}: it is not there", attribute);
  const std::string what = "the attribute " + attribute;
  Cursor header(message->data, *this, what);
  const std::uint64_t version = header.number(1), flags = header.number(1);
  if (version != 3 || flags != 0) damaged("{} has version {}, flags {}", what, version, flags);
  const std::uint64_t n_name = header.number(2), n_type = header.number(2), n_space = header.number(2);
  header.number(1);  // characters
  header.take(n_name);
  const auto [type, n_bytes] = read_type(Cursor(header.take(n_type), *this, what));
  if (!read_shape(Cursor(header.take(n_space), *this, what)).empty()) damaged("{} is not one value", what);
  return {type, header.take(n_bytes)};
}

// Whether chunks are compressed; they have checksums, and nothing else was done to them.
bool Structure::read_filters(Cursor filters, const std::string& path) const {
  constexpr std::uint64_t deflate = 1, fletcher = 3, first_with_name = 256;
  if (filters.number(1) != 2) damaged("{} has filters of an unknown version", path);
  std::vector<std::uint64_t> numbers(filters.number(1));
  for (std::uint64_t& number : numbers) {
    number = filters.number(2);
    if (number >= first_with_name) damaged("{} is stored through a foreign filter, {}", path, number);
    filters.number(2);  // whether it had to be applied
    filters.take(4 * filters.number(2));
  }
  const bool is_compressed = numbers == std::vector{deflate, fletcher};
  if (!is_compressed && numbers != std::vector{fletcher})
    damaged("{} is stored through the filters [{}], not with checksums, compressed or not", path,
            fmt::join(numbers, ", "));
  return is_compressed;
}

Dataset Structure::dataset(const std::string& path) const {
  std::optional<Cursor> type, space, layout, filters;
  for (const Message& message : messages(find(path))) {
    const Cursor data(message.data, *this, path);
    if (message.type == kDatatype) type = data;
    if (message.type == kDataspace) space = data;
    if (message.type == kLayout) layout = data;
    if (message.type == kFilters) filters = data;
    if (message.type == kExternalFiles) damaged("{} keeps its values in another file", path);
  }
  if (!type || !space || !layout) damaged("{} is not a dataset", path);
  Dataset set;
  std::tie(set.type, set.n_element_bytes) = read_type(*type);
  set.shape = read_shape(*space);
  if (set.shape.empty()) damaged("{} has no dimensions", path);
  if (std::ranges::count(set.shape, std::uint64_t{0}) != 0) return set;
  set.is_compressed = filters && read_filters(*filters, path);
  check_size(set, path);
  read_layout(*layout, filters.has_value(), path, set);
  return set;
}

// So that whoever allocates what the shape asks for allocates little more than the file has.
void Structure::check_size(const Dataset& set, const std::string& path) const {
  std::uint64_t room = file_.size() * (set.is_compressed ? kMaxDeflateRatio : 1) / set.n_element_bytes;
  for (const std::uint64_t extent : set.shape) room /= extent;
  if (room == 0)
    damaged("{} declares [{}] values of {} bytes, more than the file's {} bytes can hold", path,
            fmt::join(set.shape, ", "), set.n_element_bytes, file_.size());
}

void Structure::read_layout(Cursor layout, bool is_filtered, const std::string& path, Dataset& set) const {
  enum : std::uint64_t { chunked = 2, elsewhere = 3, single_chunk = 1, fixed_array = 3, with_size = 2 };
  if (layout.number(1) != 4) damaged("{} has a layout of an unknown version", path);
  const std::uint64_t kind = layout.number(1);
  if (kind == elsewhere) damaged("{} keeps its values in another file", path);
  if (kind != chunked) damaged("{} is not stored in chunks", path);
  if (!is_filtered) damaged("{} is stored without checksums", path);
  const std::uint64_t flags = layout.number(1), rank = layout.number(1), n_extent_bytes = layout.number(1);
  if (n_extent_bytes > 8) damaged("{} has extents of {} bytes", path, n_extent_bytes);
  std::vector<std::uint64_t> chunk;  // extents, and the bytes of an element
  for (std::uint64_t axis = 0; axis < rank; ++axis) chunk.push_back(layout.number(n_extent_bytes));
  std::vector<std::uint64_t> rows = set.shape;
  rows.push_back(set.n_element_bytes);
  if (chunk.size() != rows.size() || chunk[0] == 0 || chunk[0] > rows[0] ||
      !std::equal(chunk.begin() + 1, chunk.end(), rows.begin() + 1))
    damaged("{} has [{}] values in chunks of [{}] bytes", path, fmt::join(set.shape, ", "),
            fmt::join(chunk, ", "));
  set.rows_per_chunk = chunk[0];
  const std::uint64_t n_chunks = (set.shape[0] - 1) / chunk[0] + 1, index = layout.number(1);
  if (index == single_chunk && n_chunks == 1 && flags == with_size) {
    const std::uint64_t n_bytes = layout.number(8), skipped_filters = layout.number(4);
    set.chunks.push_back(chunk_bytes(layout.number(8), n_bytes, skipped_filters, path));
  } else if (index == fixed_array && flags == 0) {
    layout.number(1);  // the size of pages, which the array tells, too
    read_fixed_array(layout.number(8), n_chunks, path, set);
  } else {
    damaged("{} has {} chunks in an index of kind {}", path, n_chunks, index);
  }
}

void Structure::read_fixed_array(std::uint64_t address, std::uint64_t n_chunks, const std::string& path,
                                 Dataset& set) const {
  const std::string what = "the index of " + path;
  constexpr std::uint64_t of_filtered_chunks = 1, n_prefix_bytes = 14;
  Cursor header(sealed(address, 24, what), *this, what);
  if (text_of(header.take(4)) != "FAHD" || header.number(1) != 0 || header.number(1) != of_filtered_chunks)
    damaged("{} is not where it should be", what);
  const std::uint64_t n_entry_bytes = header.number(1), page_bits = header.number(1),
                      n_entries = header.number(8), data = header.number(8);
  if (n_entry_bytes <= 12 || n_entry_bytes > 20 || page_bits > 32 || n_entries != n_chunks ||
      n_entries > file_.size() / n_entry_bytes)
    damaged("{} has {} entries of {} bytes for {} chunks", what, n_entries, n_entry_bytes, n_chunks);

  std::uint64_t room = file_.size();  // or a small file keeps us busy with one chunk in many places
  const auto read_entries = [&](Cursor entries, std::uint64_t n) {
    for (std::uint64_t i = 0; i < n; ++i) {
      const std::uint64_t where = entries.number(8), n_bytes = entries.number(n_entry_bytes - 12);
      if (n_bytes > room) damaged("the chunks of {} have more bytes than the file", path);
      room -= n_bytes;
      set.chunks.push_back(chunk_bytes(where, n_bytes, entries.number(4), path));
    }
  };
  const std::uint64_t n_page_entries = std::uint64_t{1} << page_bits;
  const bool is_paged = n_entries > n_page_entries;
  const std::uint64_t n_pages = (n_entries - 1) / n_page_entries + 1;
  const std::uint64_t n_block_bytes =
      n_prefix_bytes + (is_paged ? (n_pages + 7) / 8 : n_entries * n_entry_bytes);
  Cursor block(sealed(data, n_block_bytes, what), *this, what);
  if (text_of(block.take(4)) != "FADB") damaged("{} has no entries at {}", what, data);
  block.take(n_prefix_bytes - 4);
  if (!is_paged) return read_entries(block, n_entries);
  std::uint64_t page = data + n_block_bytes + kChecksumBytes;
  for (std::uint64_t done = 0; done < n_entries; done += n_page_entries) {
    const std::uint64_t n = std::min(n_page_entries, n_entries - done);
    read_entries(Cursor(sealed(page, n * n_entry_bytes, what), *this, what), n);
    page += n * n_entry_bytes + kChecksumBytes;
  }
}

Bytes Structure::chunk_bytes(std::uint64_t address, std::uint64_t n_bytes, std::uint64_t skipped_filters,
                             const std::string& path) const {
  if (address == kUndefined) damaged("{} lacks a chunk", path);
  if (n_bytes <= kChecksumBytes || n_bytes > file_.size() || address > file_.size() - n_bytes)
    damaged("{} declares a chunk of {} bytes at {}, checksum included, in a file of {} bytes", path, n_bytes,
            address, file_.size());
  if (skipped_filters != 0) damaged("{} has a chunk that was not put through its filters", path);
  const Bytes bytes = file_.subspan(address, n_bytes - kChecksumBytes);
  if (fletcher32(bytes) != little_endian(file_.subspan(address + bytes.size(), kChecksumBytes)))
    damaged("cannot read {}: the values at {} do not match their checksum", path, address);
  return bytes;
}

std::uint32_t lookup3(Bytes bytes) {
  const auto word = [&](std::size_t at) {
    const std::size_t n_bytes = at < bytes.size() ? std::min<std::size_t>(4, bytes.size() - at) : 0;
    return static_cast<std::uint32_t>(little_endian(bytes.subspan(std::min(at, bytes.size()), n_bytes)));
  };
  std::uint32_t a = 0xdeadbeef + static_cast<std::uint32_t>(bytes.size()), b = a, c = a;
  const auto mix = [](std::uint32_t& x, std::uint32_t& y, std::uint32_t& z, int bits) {
    x = (x - z) ^ std::rotl(z, bits);
    z += y;
  };
  for (; bytes.size() > 12; bytes = bytes.subspan(12)) {
    a += word(0);
    b += word(4);
    c += word(8);
    mix(a, b, c, 4);
    mix(b, c, a, 6);
    mix(c, a, b, 8);
    mix(a, b, c, 16);
    mix(b, c, a, 19);
    mix(c, a, b, 4);
  }
  if (bytes.empty()) return c;
  a += word(0);
  b += word(4);
  c += word(8);
  const auto finish = [](std::uint32_t& x, std::uint32_t y, int bits) { x = (x ^ y) - std::rotl(y, bits); };
  finish(c, b, 14);
  finish(a, c, 11);
  finish(b, a, 25);
  finish(c, b, 16);
  finish(a, c, 4);
  finish(b, a, 14);
  finish(c, b, 24);
  return c;
}

std::uint32_t fletcher32(Bytes bytes) {
  constexpr std::size_t block = 8192;  // bytes, whose sums stay far below 2^64
  // Modulo 65535, but 65535 rather than 0 where any word is not 0.
  std::uint64_t sum1 = 0, sum2 = 0;
  for (std::size_t begin = 0; begin < bytes.size(); begin += block) {
    const std::size_t end = std::min(begin + block, bytes.size());
    for (std::size_t i = begin; i < end; i += 2) {
      sum1 += std::to_integer<std::uint64_t>(bytes[i]) << 8;
      if (i + 1 < end) sum1 += std::to_integer<std::uint64_t>(bytes[i + 1]);
      sum2 += sum1;
    }
    for (std::uint64_t* sum : {&sum1, &sum2})
      while (*sum > 65535) *sum = (*sum & 65535) + (*sum >> 16);
  }
  return static_cast<std::uint32_t>(sum2 << 16 | sum1);
}

}  // namespace melgrad::hdf5
