#pragma once
// What a search found out: as JSON (search_schema.md), as HDF5, and as text for a terminal.

#include <cstddef>
#include <string>
#include <vector>

#include "host/core/json.hpp"
#include "host/evaluation/search.hpp"
#include "host/report/text.hpp"

namespace melgrad {

Json to_json(const SearchResult& result);

// The bytes of an HDF5 file: the tables of search_schema.md. `json` is to_json(result) with what the caller
// added: its members other than the tables go into the attribute `search`.
std::vector<std::byte> search_hdf5(const SearchResult& result, const Json& json);

// The best candidates, what each value of each parameter reached, and the nested estimate.
std::string search_text(const SearchResult& result, const TextStyle& style);

// "activation relu, hidden_layer_sizes 300,100"
std::string parameters_text(const Json& parameters);
// "relu", "(300, 100)", "0.0001"
std::string value_text(const Json& value);

}  // namespace melgrad
