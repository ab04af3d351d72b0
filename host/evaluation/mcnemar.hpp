#pragma once
// McNemar's test of two classifiers on the same clips.

#include <string>
#include <vector>

#include "host/core/matrix.hpp"

namespace melgrad {

struct McNemarTest {
  std::string method;    // "exact" or "chi2"
  double statistic = 0;  // the smaller count, or chi squared of one degree of freedom
  double p_value = 1;
};

// Of the clips that only the first, or only the second, had right: statsmodels' mcnemar(exact=True), and from
// 25 such clips on mcnemar(exact=False, correction=True).
McNemarTest mcnemar_test(Index only_first_right, Index only_second_right);

// Holm's step-down adjustment (1979) of p values, in their order: statsmodels' multipletests(method='holm').
std::vector<double> holm_adjusted(const std::vector<double>& p_values);

}  // namespace melgrad
