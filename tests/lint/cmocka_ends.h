/* What clang's analyzer is shown in front of a unit test: an assertion that fails ends the test.
 * cmocka's own header does not say so, and every pointer that was asserted would pass for one that
 * may be NULL. */
/* NOLINTBEGIN(bugprone-reserved-identifier,cert-*,misc-definitions-in-headers): the names are
 * cmocka's */
_Noreturn void _fail(const char *file, int line);
void _assert_true(unsigned long result, const char *expression, const char *file, int line);
void _assert_true(unsigned long result, const char *expression, const char *file, int line)
{
    (void)expression;
    if (!result)
        _fail(file, line);
}
/* NOLINTEND(bugprone-reserved-identifier,cert-*,misc-definitions-in-headers) */
