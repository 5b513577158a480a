/* Prints docs/faults.md: how a failure gets its name, then every fault by class; and the heads of
 * the faults' own pages. */
#include "pgtls/model/fault_reference.h"

#include "pgtls/base/buf.h"

static const char intro[] =
    "# Faults\n"
    "\n"
    "<!-- Printed from src/model by `pgtls_docs faults`. Change the tables there, not this page. "
    "-->\n"
    "\n"
    "When a probe fails, the exporter names the reason: one *fault* of the catalogue below. The "
    "id\n"
    "is the `fault` label of `pgtls_fault_active` and the `fault` of `/health/database`; ids are\n"
    "API and are not renamed. Each has a page of its own, linked as *runbook*: what it looks "
    "like,\n"
    "how to confirm it, how to fix it, and in which products it happens.\n"
    "\n"
    "A probe counts at most one failure, in `pgtls_probe_failures_total` under the class of its\n"
    "fault; beyond that\n"
    "\n"
    "- class `ssl_close` also counts in `pgtls_ssl_closes_total`, by phase and by `how` the peer\n"
    "  closed: `close_notify`, `fin` or `rst`;\n"
    "- class `hba` also counts in `pgtls_hba_rejections_total`, by the `kind` given with each "
    "row;\n"
    "- class `internal` is our own side: it counts in `pgtls_probe_internal_errors_total`, by\n"
    "  `reason`, and never against the server.\n"
    "\n"
    "## How a failure gets its name\n"
    "\n"
    "The first rule that applies decides. Texts of a server are the last resort: they are\n"
    "translated, and they change.\n"
    "\n"
    "1. **The name does not resolve**: by the resolver's status.\n"
    "2. **A system call fails**: by its error. Want of descriptors, memory or local ports is our\n"
    "   own side; the rest of connecting is class `network`.\n"
    "3. **A TLS alert arrives**, in whatever phase: by its number. TLS 1.3 delivers the rejection\n"
    "   of a client certificate only after the handshake.\n"
    "4. **The certificate does not satisfy this endpoint's sslmode**: by the verification code of\n"
    "   the first error, then the host name, then the pin. The handshake is always finished, so\n"
    "   that certificate facts are reported all the same.\n"
    "5. **The peer closes, or our deadline passes, without an ErrorResponse**: by how far the\n"
    "   connection had come (request for TLS, handshake, startup message, authentication,\n"
    "   session), whether TLS was in use, and how it closed.\n"
    "6. **Something that is not the protocol arrives**: by where, and by the byte that answered\n"
    "   SSLRequest.\n"
    "7. **An ErrorResponse arrives**:\n"
    "   1. by PostgreSQL's own function (field `R`) and SQLSTATE, which no language changes. In\n"
    "      `ClientAuthentication`, 28000 is a pg_hba rejection if the text holds `pg_hba.conf`,\n"
    "      which every translation keeps, and a missing client certificate otherwise;\n"
    "   2. by the texts of poolers, proxies and managed services, which send no function and "
    "never\n"
    "      translate;\n"
    "   3. by SQLSTATE alone.\n"
    "\n"
    "Whether a pg_hba rejection is about TLS is taken from our own connection and not from the\n"
    "text: a rejected plaintext connection is of kind `no_encryption`.\n";

/* What a class is, and in what order they are shown: the server's side from the network inwards. */
static const struct {
    enum fault_class class;
    const char *about;
} sections[] = {
    {FAULT_CLASS_NETWORK, "The server was not reached: names, routes, firewalls, ports."},
    {FAULT_CLASS_PROTOCOL,
     "Something answered, but client and server do not understand each other."},
    {FAULT_CLASS_SSL_CLOSE,
     "The peer closed a TLS connection without an ErrorResponse: during the handshake, after it, "
     "during authentication or in the session."},
    {FAULT_CLASS_CERTIFICATE, "A certificate is the reason: the server's, or the one it wants "
                              "from us."},
    {FAULT_CLASS_HBA, "The server, or a pooler in front, refuses this client by its access rules."},
    {FAULT_CLASS_AUTH, "User, password, database or privileges are not right. Logins are spaced "
                       "out on these, up to 15 minutes, so that no account is locked."},
    {FAULT_CLASS_CAPACITY, "There is no room: connections, memory, processes."},
    {FAULT_CLASS_UNAVAILABLE, "The server or pooler is there but does not serve us now."},
    {FAULT_CLASS_EXPECTATION, "The endpoint's `expect` setting names a refusal, and it did not "
                              "come. Any other failure there "
                              "keeps the name that it has everywhere. See [expect](expect.md)."},
    {FAULT_CLASS_INTERNAL,
     "The exporter's own side. The server is neither up nor down by these; its state is unknown."},
};
_Static_assert(sizeof sections / sizeof *sections == FAULT_CLASS_COUNT - 1,
               "every class has its section");

/* `a`, `b` from "a, b". */
static void add_phases(struct buf *to, const char *phases)
{
    buf_add_char(to, '`');
    for (; *phases; phases++) {
        if (*phases == ',')
            buf_add_str(to, "`, `");
        else if (*phases != ' ')
            buf_add_char(to, *phases);
    }
    buf_add_char(to, '`');
}

static void add_counts_as(struct buf *to, const struct fault_row *row)
{
    if (row->hba != HBA_NONE)
        buf_addf(to, " · pg_hba rejection of kind `%s`", hba_kind_name(row->hba));
    else if (row->internal != INTERNAL_NONE)
        buf_addf(to, " · internal error of reason `%s`", internal_reason_name(row->internal));
    else if (row->class == FAULT_CLASS_SSL_CLOSE)
        buf_add_str(to, " · SSL close");
}

static void add_fault(struct buf *to, const struct fault_row *row)
{
    buf_addf(to, "\n### %s\n\n", row->id);
    buf_add_str(to, "Phase: ");
    add_phases(to, row->phases);
    add_counts_as(to, row);
    buf_addf(to, " · [runbook](faults/%s.md)", row->id);
    buf_addf(to, "\n\n%s\n\n**What to do:** %s\n", row->meaning, row->remedy);
}

void faults_print_reference(struct buf *to)
{
    buf_add_str(to, intro);
    for (size_t s = 0; s < sizeof sections / sizeof *sections; s++) {
        buf_addf(to, "\n## Class %s\n\n%s\n", fault_class_name(sections[s].class),
                 sections[s].about);
        for (int i = FAULT_NONE + 1; i < FAULT_COUNT; i++) {
            const struct fault_row *row = fault_row((enum fault)i);

            if (row->class == sections[s].class)
                add_fault(to, row);
        }
    }
}

/* The series that move with this fault, as one types them. */
static void add_metrics(struct buf *to, const struct fault_row *row)
{
    if (row->internal != INTERNAL_NONE) {
        buf_addf(to, "`pgtls_probe_internal_errors_total{reason=\"%s\"}`",
                 internal_reason_name(row->internal));
        return;
    }
    buf_addf(to, "`pgtls_fault_active{fault=\"%s\"}`, ", row->id);
    buf_addf(to, "`pgtls_probe_failures_total{class=\"%s\"}`", fault_class_name(row->class));
    if (row->hba != HBA_NONE)
        buf_addf(to, ", `pgtls_hba_rejections_total{kind=\"%s\"}`", hba_kind_name(row->hba));
    if (row->class == FAULT_CLASS_SSL_CLOSE)
        buf_add_str(to, ", `pgtls_ssl_closes_total`");
}

void fault_print_head(struct buf *to, enum fault fault)
{
    const struct fault_row *row = fault_row(fault);

    buf_addf(to,
             "<!-- Printed by `pgtls_docs fault %s` down to the line that says so: change "
             "src/model/fault_rows.inc. -->\n",
             row->id);
    buf_addf(to, "# %s\n\n%s\n\n", row->id, row->meaning);
    buf_addf(to, "| Class | [%s](../faults.md#class-%s) |\n|---|---|\n",
             fault_class_name(row->class), fault_class_name(row->class));
    buf_add_str(to, "| Phase | ");
    add_phases(to, row->phases);
    buf_add_str(to, " |\n| Metrics | ");
    add_metrics(to, row);
    buf_addf(to, " |\n| What to do | %s |\n", row->remedy);
    buf_add_str(to,
                "| Look again | `pgtls_exporter probe --config.file=pgtls.yml CLUSTER/ENDPOINT` "
                "([more](../probe.md)) |\n\n<!-- End of what is printed. -->\n");
}

void faults_print_heads(struct buf *to)
{
    for (int i = FAULT_NONE + 1; i < FAULT_COUNT; i++)
        fault_print_head(to, (enum fault)i);
}
