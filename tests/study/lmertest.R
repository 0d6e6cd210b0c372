# What R says of the tables in lmertest.txt: Rscript lmertest.R > lmertest.csv
# Debian's r-base-core 4.2.2, r-cran-lme4 1.1-31, r-cran-lmertest 3.1-3.
suppressMessages(library(lmerTest))

lines <- readLines("lmertest.txt")
starts <- grep("^# ", lines)
cat("table,estimate,standard_error,df,t,p,rater,item,residual\n")
for (k in seq_along(starts)) {
  last <- if (k < length(starts)) starts[k + 1] - 1 else length(lines)
  table <- as.matrix(read.table(text = lines[(starts[k] + 1):last]))
  rows <- data.frame(d = as.vector(table), rater = factor(row(table)), item = factor(col(table)))
  rows <- rows[!is.na(rows$d), ]
  fit <- suppressMessages(lmer(d ~ 1 + (1 | rater) + (1 | item), data = rows, control = lmerControl(
    optCtrl = list(ftol_abs = 1e-14, xtol_abs = 1e-12, maxeval = 100000))))
  of <- coef(summary(fit))[1, ]
  v <- as.data.frame(VarCorr(fit))
  at <- function(group) v$vcov[v$grp == group]
  p <- pt(of[["t value"]], of[["df"]], lower.tail = FALSE)
  cat(sprintf("%s,%.12g,%.12g,%.12g,%.12g,%.12g,%.12g,%.12g,%.12g\n", sub("# ", "", lines[starts[k]]),
    of[["Estimate"]], of[["Std. Error"]], of[["df"]], of[["t value"]], p,
    at("rater"), at("item"), at("Residual")))
}
