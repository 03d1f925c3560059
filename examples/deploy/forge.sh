# SPDX-License-Identifier: MIT
# Laravel Forge: the site's deploy script. The site is a checkout at $FORGE_SITE_PATH; releases are made from it, beside it.
set -e
cd "$FORGE_SITE_PATH"
git pull origin "$FORGE_SITE_BRANCH"
base=$FORGE_SITE_PATH-releases
release=$base/releases/$(git rev-parse HEAD)
mkdir -p "$release"
git archive HEAD | tar -x -C "$release"
cd "$release"
if [ -f composer.json ]; then
    $FORGE_COMPOSER install --no-dev --no-interaction --prefer-dist --optimize-autoloader
fi
[ ! -f "$FORGE_SITE_PATH/.env" ] || ln -sf "$FORGE_SITE_PATH/.env" .env
# instead of: sudo -S service $FORGE_PHP_FPM reload
holdfast-release "$release"
