/* What a login has to do with SCRAM keys: what became of those it was given, and those it teaches.
 */
#include "login_state.h"

#include "pgtls/base/wipe.h"

#include <stdlib.h>
#include <string.h>

enum keys_fate login_keys_fate(const struct login *l)
{
    const struct login_guard *g = &l->look.guard;

    if (g->keys_unfit)
        return KEYS_UNFIT;
    if (!g->keys_tried)
        return KEYS_UNUSED;
    if (l->auth_done)
        return KEYS_FITTED;
    if (l->e.end == END_ERROR_RESPONSE && !l->e.auth_ok &&
        fault_row(fault_classify(&l->e))->class == FAULT_CLASS_AUTH)
        return KEYS_REFUSED;
    return l->e.end == END_AUTH_CLIENT ? KEYS_DOUBTED : KEYS_UNUSED;
}

void login_forget_password(struct login *l)
{
    if (l->password)
        wipe_memory(l->password, strlen(l->password));
    free(l->password);
    l->password = NULL;
}

bool login_learned_keys(struct login *l, struct scram_keys *keys)
{
    const struct login_guard *g = &l->look.guard;
    bool learned = l->password && l->query_done && l->e.end == END_NONE && g->offered &&
                   g->offer.iterations <= LOGIN_INLINE_SCRAM_ITERATIONS &&
                   scram_keys_derive(keys, l->password, &g->offer);

    login_forget_password(l);
    return learned;
}
